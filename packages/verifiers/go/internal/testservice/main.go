// Command testservice is a service for the tests of this repository. It answers every verified request with the identity
// that it saw.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/countersign/countersign/packages/verifiers/go/identity"
)

func main() {
	keys, err := identity.NewRemoteKeys(identity.RemoteConfig{URL: os.Getenv("GATEWAY_KEYS_URL")})
	if err != nil {
		log.Fatal(err)
	}
	go keys.Run(context.Background())
	config := identity.Config{
		Audience: os.Getenv("AUDIENCE"), Keys: keys, Replay: identity.NewMemoryReplay(), MaxBodyBytes: 64 << 10,
		Stream: func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Path == "/v1/upload" },
	}
	mux := http.NewServeMux()
	if key := os.Getenv("AGREEMENT_KEY"); key != "" {
		if config.Agreement, err = identity.ParseAgreementKeys([]byte(key)); err != nil {
			log.Fatal(err)
		}
		mux.Handle("GET /.well-known/jwks.json", config.Agreement)
	}
	verifier, err := identity.New(config)
	if err != nil {
		log.Fatal(err)
	}
	var handled atomic.Int64
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		answer(w, map[string]any{"handled": handled.Load(), "headers": r.Header})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !keys.Ready() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handled.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		id, _ := identity.FromContext(r.Context())
		answer(w, map[string]any{"identity": id, "body": string(body)})
	})
	mux.Handle("/", identity.Require(echo, identity.KindUser, identity.KindAnonymous))
	mux.Handle("/v1/scoped", identity.RequireScope(echo, "orders.read"))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), verifier.Handler(mux)))
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}
