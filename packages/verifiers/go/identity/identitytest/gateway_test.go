package identitytest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/countersign/countersign/packages/verifiers/go/identity"
	"github.com/countersign/countersign/packages/verifiers/go/identity/identitytest"
)

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { panic(status) }

func benchmarkGateway(b *testing.B, isAgreed bool) (*identitytest.Gateway, http.Handler) {
	b.Helper()
	text, err := identity.NewAgreementKey()
	if err != nil {
		b.Fatal(err)
	}
	agreement, err := identity.ParseAgreementKeys(text)
	if err != nil {
		b.Fatal(err)
	}
	gateway := identitytest.NewGateway("my-service")
	if isAgreed {
		if err := gateway.Agree(agreement); err != nil {
			b.Fatal(err)
		}
	}
	replay := gateway.Replay()
	replay.MaxNonces = 1 << 30
	verifier, err := identity.New(identity.Config{
		Audience: "my-service", Keys: gateway.Keys(), Agreement: agreement, Replay: replay,
	})
	if err != nil {
		b.Fatal(err)
	}
	return gateway, verifier.Handler(identity.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
}

func BenchmarkSignAndVerify(b *testing.B) {
	for _, algorithm := range []string{"ed25519", "agreed"} {
		gateway, handler := benchmarkGateway(b, algorithm == "agreed")
		sign := func() *http.Request {
			r := httptest.NewRequest("GET", "/v1/complaints?status=open", nil)
			r.Header.Set("Accept", "*/*")
			r.Header.Set("User-Agent", "benchmark")
			r.Header.Set("X-Forwarded-For", "192.0.2.1")
			if err := gateway.Sign(r, identitytest.User); err != nil {
				b.Fatal(err)
			}
			return r
		}
		b.Run("sign/"+algorithm, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sign()
			}
		})
		b.Run("both/"+algorithm, func(b *testing.B) {
			b.ReportAllocs()
			w := &discard{http.Header{}}
			for b.Loop() {
				handler.ServeHTTP(w, sign())
			}
		})
	}
}
