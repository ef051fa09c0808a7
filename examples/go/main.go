// A service behind Countersign: GET /hello answers with the user's id.
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"countersign.example/verifier"
)

func main() {
	keys := fetchKeys(cmp.Or(os.Getenv("GATEWAY_KEYS_URL"), "http://127.0.0.1:8090/.well-known/jwks.json"))
	verify, err := verifier.New("my-service", keys, nil, time.Now().Unix()+1, 5, 60)
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		identity, err := verify.Verify(requestOf(w, r), time.Now().Unix())
		switch {
		case err != nil:
			w.Header().Set("x-identity-refused", err.Error())
			answer(w, 401, map[string]any{"code": "identity_refused"})
		case r.URL.Path != "/hello":
			answer(w, 404, map[string]any{"code": "not_found"})
		case identity["kind"] != "user":
			answer(w, 403, map[string]any{"code": "identity_not_allowed"})
		default:
			answer(w, 200, map[string]any{"hello": identity["user_id"]})
		}
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "3000"), nil))
}

// requestOf returns the request as it arrived. net/http removes two headers from the map; the body's length stands for
// both.
func requestOf(w http.ResponseWriter, r *http.Request) verifier.Request {
	headers := [][2]string{}
	for name, values := range r.Header {
		for _, value := range values {
			headers = append(headers, [2]string{name, value})
		}
	}
	if r.ContentLength > 0 {
		headers = append(headers, [2]string{"content-length", fmt.Sprint(r.ContentLength)})
	} else if r.ContentLength < 0 {
		headers = append(headers, [2]string{"transfer-encoding", "chunked"})
	}
	// A body that is too large is truncated, and then its digest does not match.
	body, _ := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	return verifier.Request{Method: r.Method, Target: r.RequestURI, Headers: headers, Body: body}
}

func fetchKeys(url string) []verifier.Key {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	var set struct{ Keys []verifier.Key }
	if err := json.NewDecoder(response.Body).Decode(&set); err != nil {
		log.Fatal(err)
	}
	return set.Keys
}

func answer(w http.ResponseWriter, status int, value map[string]any) {
	w.Header().Set("content-type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}
