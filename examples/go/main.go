// A service behind Countersign: GET /hello answers with the user's id.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"

	"github.com/countersign/countersign/packages/verifiers/go/identity"
)

func main() {
	keysURL := cmp.Or(os.Getenv("GATEWAY_KEYS_URL"), "http://127.0.0.1:8090/.well-known/jwks.json")
	keys, err := identity.NewRemoteKeys(identity.RemoteConfig{URL: keysURL})
	if err != nil {
		log.Fatal(err)
	}
	go keys.Run(context.Background())
	verifier, err := identity.New(identity.Config{Audience: "my-service", Keys: keys, Replay: identity.NewMemoryReplay()})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("GET /hello", identity.Require(http.HandlerFunc(hello)))
	address := "127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "3000")
	log.Fatal(http.ListenAndServe(address, verifier.Handler(http.DefaultServeMux)))
}

func hello(w http.ResponseWriter, r *http.Request) {
	caller, _ := identity.FromContext(r.Context())
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"hello": caller.User.ID})
}
