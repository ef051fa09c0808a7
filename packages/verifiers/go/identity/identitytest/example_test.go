package identitytest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/countersign/countersign/packages/verifiers/go/identity"
	"github.com/countersign/countersign/packages/verifiers/go/identity/identitytest"
)

// A test of a service signs a request as the gateway would, and another that the gateway did not sign.
func Example() {
	gateway := identitytest.NewGateway("my-service")
	verifier, err := identity.New(identity.Config{
		Audience: "my-service", Keys: gateway.Keys(), Replay: gateway.Replay(),
	})
	if err != nil {
		panic(err)
	}
	service := verifier.Handler(identity.RequireRole(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := identity.FromContext(r.Context())
		fmt.Fprintf(w, "hello %s", id.User.ID)
	}), "member"))

	signed := httptest.NewRequest("GET", "/hello", nil)
	if err := gateway.Sign(signed, identitytest.User); err != nil {
		panic(err)
	}
	for _, request := range []*http.Request{signed, httptest.NewRequest("GET", "/hello", nil)} {
		answer := httptest.NewRecorder()
		service.ServeHTTP(answer, request)
		fmt.Printf("%d %q\n", answer.Code, answer.Header().Get("X-Identity-Refused"))
	}
	// Output:
	// 200 ""
	// 401 "signature_missing"
}
