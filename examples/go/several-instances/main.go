// A service with several instances, which share a Redis: each request is accepted once, by one of them.
package main

import (
	"cmp"
	"context"
	"log"
	"net/http"
	"os"
	"time"

	"countersign.example/service/redisreplay"
	"github.com/countersign/countersign/packages/verifiers/go/identity"
)

func main() {
	keysURL := cmp.Or(os.Getenv("GATEWAY_KEYS_URL"), "http://127.0.0.1:8090/.well-known/jwks.json")
	keys, err := identity.NewRemoteKeys(identity.RemoteConfig{URL: keysURL})
	if err != nil {
		log.Fatal(err)
	}
	go keys.Run(context.Background())
	replay := &redisreplay.Store{
		Address: cmp.Or(os.Getenv("REDIS_ADDRESS"), "127.0.0.1:6379"), Timeout: 100 * time.Millisecond,
	}
	verifier, err := identity.New(identity.Config{Audience: "my-service", Keys: keys, Replay: replay})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("GET /hello", identity.Require(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})))
	address := "127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "3000")
	log.Fatal(http.ListenAndServe(address, verifier.Handler(http.DefaultServeMux)))
}
