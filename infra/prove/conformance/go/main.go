package main

import (
	"cmp"
	"context"
	"log"
	"net/http"
	"os"

	"github.com/countersign/countersign/packages/verifiers/go/identity"
	"github.com/countersign/countersign/packages/verifiers/go/identity/identitytest"
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
	address := "127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "3000")
	log.Fatal(http.ListenAndServe(address, verifier.Handler(identitytest.Echo)))
}
