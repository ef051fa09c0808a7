// A service behind Countersign: GET /hello returns the user's id.
package main

import (
	"cmp"
	"context"
	"encoding/json"
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
	verifier, err := identity.New(identity.Config{
		Audience: "my-service", Keys: keys, Replay: nonces(), AgreementKeys: cmp.Or(os.Getenv("AGREEMENT_KEYS"), "memory"),
	})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("GET /hello", identity.Require(http.HandlerFunc(hello)))
	address := "127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "3000")
	log.Fatal(http.ListenAndServe(address, verifier.Handler(http.DefaultServeMux)))
}

// nonces returns a store for one instance or, with REDIS_ADDRESS, for several that share a Redis: only one of them
// accepts a request.
func nonces() identity.ReplayStore {
	address := os.Getenv("REDIS_ADDRESS")
	if address == "" {
		return identity.NewMemoryReplay()
	}
	log.Print("Nonces are in Redis. While it is down, a captured GET or HEAD works once at each instance, and the rest gets 503.")
	return &redisreplay.Store{Address: address, Timeout: 100 * time.Millisecond}
}

func hello(w http.ResponseWriter, r *http.Request) {
	caller, _ := identity.FromContext(r.Context())
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"hello": caller.User.ID})
}
