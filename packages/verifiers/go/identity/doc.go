// Package identity verifies that requests came through a Countersign gateway, and who sent them.
//
// The gateway signs each request that it forwards with HTTP Message Signatures (RFC 9421). A [Verifier] is middleware
// for net/http that checks the signature and refuses everything else. Handlers behind a guard, such as [Require], read
// the caller with [FromContext].
//
//	keys, err := identity.NewRemoteKeys(identity.RemoteConfig{URL: "http://127.0.0.1:8090/.well-known/jwks.json"})
//	…
//	go keys.Run(ctx)
//	verifier, err := identity.New(identity.Config{
//		Audience: "my-service", Keys: keys, Replay: identity.NewMemoryReplay(),
//	})
//	…
//	mux := http.NewServeMux()
//	mux.Handle("GET /hello", identity.Require(http.HandlerFunc(hello)))
//	http.ListenAndServe("127.0.0.1:3000", verifier.Handler(mux))
//
// The rules are those of docs/identity-contract.md in the repository. net/http itself accepts three forms that the
// contract refuses: folded header lines, a repeated Content-Length with one value, and a Content-Length beside
// Transfer-Encoding. It resolves them before this package sees the request, and what it passes on is what is verified.
package identity
