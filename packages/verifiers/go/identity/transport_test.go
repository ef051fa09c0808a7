package identity

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/packages/verifiers/go/internal/wire"
)

// A signer makes the headers of every accepted call byte for byte.
func TestNestedVectorsAreSigned(t *testing.T) {
	var file struct {
		Services []struct{ JWK json.RawMessage }
		Vectors  []struct {
			vector
			Call map[string]string
		}
	}
	readVectors(t, "nested-vectors.json", &file)
	keys := map[string]*ServiceKey{}
	for _, service := range file.Services {
		key, err := ParseServiceKey(service.JWK)
		if err != nil {
			t.Fatal(err)
		}
		keys[key.id] = key
	}
	signed := 0
	for _, v := range file.Vectors {
		if v.Call == nil {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			given, err := wire.ReadHeaders(v.Request.lines())
			if err != nil {
				t.Fatal(err)
			}
			params, err := given.Params(wire.CallTag)
			if err != nil {
				t.Fatal(err)
			}
			if params.Expires != params.Created+30 {
				t.Skip("not of 30 s")
			}
			h := wire.Headers{}
			for _, name := range []string{"x-identity-audience", "txn-token", "content-type", "content-digest"} {
				if given.Has(name) {
					h[name] = given[name]
				}
			}
			draft := wire.Draft{
				Method: string(v.Request.Method), Target: string(v.Request.Target), Created: params.Created, Nonce: params.Nonce,
			}
			if err := keys[params.KeyID].sign(h, draft); err != nil {
				t.Fatal(err)
			}
			for name, value := range h {
				if given[name] != value {
					t.Errorf("%s: %s, expected %s", name, value, given[name])
				}
			}
			signed++
		})
	}
	if signed < 10 {
		t.Fatalf("only %d calls", signed)
	}
}

const rfc8037Key = `{"kty":"OKP","crv":"Ed25519","kid":"ed-1",` +
	`"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`

func TestServiceKeyIsChecked(t *testing.T) {
	if _, err := ParseServiceKey([]byte(rfc8037Key)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"not JSON":           "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
		"no kid":             strings.Replace(rfc8037Key, `"kid"`, `"id"`, 1),
		"kid of a form":      strings.Replace(rfc8037Key, `ed-1`, `ed 1`, 1),
		"another curve":      strings.Replace(rfc8037Key, `Ed25519`, `X25519`, 1),
		"x of another key":   strings.Replace(rfc8037Key, `11qY`, `12qY`, 1),
		"no d":               strings.Replace(rfc8037Key, `"d"`, `"e"`, 1),
		"d that is too long": strings.Replace(rfc8037Key, `nWGx`, `nWGxA`, 1),
	} {
		if _, err := ParseServiceKey([]byte(text)); err == nil || strings.Contains(err.Error(), "nWGx") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	allowPublished = false
	defer func() { allowPublished = true }()
	if _, err := ParseServiceKey([]byte(rfc8037Key)); err == nil {
		t.Error("a published key is accepted")
	}
}

func TestTransportSendsNothingElsewhere(t *testing.T) {
	reached := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	defer elsewhere.Close()
	var sent []*http.Request
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, r)
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		case "/near":
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
		}
	}))
	defer gateway.Close()
	key, _ := ParseServiceKey([]byte(rfc8037Key))
	internal, _ := url.Parse(gateway.URL)
	caller := http.Client{Transport: &Transport{GatewayURL: internal, Key: key}}
	get := func(target string) error {
		r, _ := http.NewRequestWithContext(context.Background(), "GET", target, nil)
		response, err := caller.Do(r)
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	if err := get(gateway.URL + "/internal/users/42"); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{elsewhere.URL, gateway.URL + "/away", gateway.URL + "/near", gateway.URL + "/a/%2e%2e/b", "https" + gateway.URL[4:]} {
		if err := get(target); err == nil {
			t.Errorf("%s: no error", target)
		}
	}
	if reached != 0 || len(sent) != 3 {
		t.Errorf("%d elsewhere, %d at the gateway", reached, len(sent))
	}
	if sent[0].Header.Get("Txn-Token") != "" || sent[0].Header.Get("X-Identity-Audience") != "countersign-gateway" {
		t.Errorf("sent %v", sent[0].Header)
	}
	incomplete := http.Client{Transport: &Transport{}}
	if _, err := incomplete.Get(gateway.URL); err == nil {
		t.Error("no error without a key")
	}
}

func TestAgreementKeysAreChecked(t *testing.T) {
	text, err := NewAgreementKey()
	if err != nil {
		t.Fatal(err)
	}
	other, _ := NewAgreementKey()
	var key, next map[string]string
	_ = json.Unmarshal(text, &key)
	_ = json.Unmarshal(other, &next)
	set := func(keys ...any) []byte {
		text, _ := json.Marshal(map[string]any{"keys": keys})
		return text
	}
	keys, err := ParseAgreementKeys(set(key, next))
	if err != nil || len(keys.private) != 2 {
		t.Fatalf("got %v %v", keys, err)
	}
	edited := func(member, value string) map[string]string {
		changed := map[string]string{}
		for name, each := range key {
			changed[name] = each
		}
		changed[member] = value
		return changed
	}
	for name, text := range map[string][]byte{
		"not JSON":         []byte(key["d"]),
		"no key":           set(),
		"a public key":     set(edited("d", "")),
		"d of another key": set(edited("d", next["d"])),
		"another use":      set(edited("use", "sig")),
		"another kid":      set(key, edited("kid", next["kid"])),
		"not an object":    set(key, 7),
	} {
		if _, err := ParseAgreementKeys(text); err == nil || strings.Contains(err.Error(), key["d"]) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	w := httptest.NewRecorder()
	keys.ServeHTTP(w, httptest.NewRequest("GET", "/.well-known/jwks.json", nil))
	var document struct{ Keys []map[string]string }
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil || len(document.Keys) != 1 {
		t.Fatalf("published %s", w.Body)
	}
	published := document.Keys[0]
	if published["kid"] != key["kid"] || published["d"] != "" || w.Header().Get("Content-Type") != "application/jwk-set+json" {
		t.Errorf("published %s with %v", w.Body, w.Header())
	}
}
