package identity_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/packages/verifiers/go/identity"
)

// published returns the first key that a service publishes.
func published(t *testing.T, service http.Handler) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	service.ServeHTTP(w, httptest.NewRequest("GET", "/.well-known/jwks.json", nil))
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(w.Body.Bytes(), &set); err != nil || w.Code != 200 || len(set.Keys) != 1 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	return set.Keys[0]
}

func agreeing(place string) func(*identity.Config) {
	return func(config *identity.Config) { config.AgreementKeys = place }
}

func TestOneWordPublishesAKey(t *testing.T) {
	_, one, _ := newService(t, agreeing("memory"), http.NotFoundHandler())
	_, other, _ := newService(t, agreeing("memory"), http.NotFoundHandler())
	key := published(t, one)
	if key["aud"] != audience || key["d"] != "" || key["kid"] == published(t, other)["kid"] {
		t.Errorf("published %v", key)
	}
}

func TestProcessesShareTheKeyOfADirectory(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "keys")
	_, one, _ := newService(t, agreeing(directory), http.NotFoundHandler())
	_, other, _ := newService(t, agreeing(directory), http.NotFoundHandler())
	if key := published(t, one); key["kid"] != published(t, other)["kid"] {
		t.Errorf("published %v", key)
	}
	entries, _ := os.ReadDir(directory)
	path := filepath.Join(directory, "agreement-1.jwk.json")
	info, err := os.Stat(path)
	if err != nil || len(entries) != 1 || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", entries, err)
	}
	config := identity.Config{Audience: "billing", Secrets: [][]byte{make([]byte, 32)}, Replay: identity.NewMemoryReplay()}
	config.AgreementKeys = directory
	if _, err := identity.New(config); err == nil || !strings.Contains(err.Error(), "another service") {
		t.Errorf("another service got %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	config.Audience = audience
	if _, err := identity.New(config); err == nil || !strings.Contains(err.Error(), "others may read") {
		t.Errorf("got %v", err)
	}
}

func TestAnyOtherAnswerAtThePathOfTheKeySetStaysAsItIs(t *testing.T) {
	for status, body := range map[int]string{200: `{"keys":[]}`, 302: "", 401: "who?", 503: "later"} {
		_, service, _ := newService(t, agreeing("memory"), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/keys")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		w := httptest.NewRecorder()
		service.ServeHTTP(w, httptest.NewRequest("GET", "/.well-known/jwks.json", nil))
		if w.Code != status || w.Body.String() != body || w.Header().Get("Location") != "/keys" {
			t.Errorf("%d: got %d %s", status, w.Code, w.Body)
		}
	}
}

func TestARelayedRefusalLosesItsReason(t *testing.T) {
	gateway, service, _ := newService(t, nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["x-identity-Refused"] = []string{"key_unknown"}
		w.Header().Set("WWW-Authenticate", "Countersign")
		w.WriteHeader(http.StatusUnauthorized)
	}))
	for _, path := range []string{"/things", "/healthz"} {
		request := httptest.NewRequest("GET", path, nil)
		if err := gateway.Sign(request, user("agent")); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		service.ServeHTTP(w, request)
		if w.Code != 401 || len(w.Header()) != 1 {
			t.Errorf("%s: got %d %v", path, w.Code, w.Header())
		}
	}
}
