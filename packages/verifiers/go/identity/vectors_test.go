package identity

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/countersign/countersign/packages/verifiers/go/internal/wire"
)

const vectorFiles = "../../../identity/"

func TestMain(m *testing.M) {
	allowPublished = true // Tests of the exception clear it.
	os.Exit(m.Run())
}

// latin1 is text of a vector file: each character stands for one byte.
type latin1 string

func (l *latin1) UnmarshalJSON(text []byte) error {
	var characters string
	err := json.Unmarshal(text, &characters)
	var raw []byte
	for _, each := range characters {
		raw = append(raw, byte(each))
	}
	*l = latin1(raw)
	return err
}

type vectorRequest struct {
	Method, Target latin1
	Headers        [][2]latin1
	BodyBase64     []byte `json:"body_base64"`
}

func (r vectorRequest) lines() [][2]string {
	var lines [][2]string
	for _, header := range r.Headers {
		lines = append(lines, [2]string{string(header[0]), string(header[1])})
	}
	return lines
}

type vector struct {
	Name            string
	Now             int64
	Stream          bool
	MemoryBegan     int64           `json:"memory_began"`
	RequestsBefore  []vectorRequest `json:"requests_before"`
	DeliveredBefore int             `json:"delivered_before"`
	Request         vectorRequest
	Identity        map[string]any
	SignatureBase   string `json:"signature_base"`
	Refused         string
	Exempt          bool
	HeadersLeft     []string `json:"headers_left"`
}

type vectorFile struct {
	Verifier struct {
		Audience       string
		ToleranceSec   int64 `json:"tolerance_sec"`
		MaxLifetimeSec int64 `json:"max_lifetime_sec"`
	}
	Keys struct {
		JWKS    json.RawMessage
		Secrets []struct {
			Keyid  string
			Secret []byte `json:"secret_base64"`
		}
		Agreement []json.RawMessage
		Gateway   []jwk
	}
	Published map[string][]string
	Vectors   []vector
	KeySets   []struct {
		Name   string
		JWKS   json.RawMessage
		Usable []string
	} `json:"key_sets"`
	Answers []struct {
		Name    string
		Request vectorRequest
		Cause   struct {
			Refused, Unavailable string
			TooLarge             bool `json:"too_large"`
		}
		Answer struct {
			Status  int
			Headers map[string]string
			Body    map[string]any
		}
	}
	RFC7748     []struct{ Scalar, U, Result string }
	RFC5869     []struct{ IKM, Salt, Info, OKM string }
	Derivations []struct {
		Gateway, Service, Audience string
		X25519                     string `json:"x25519_hex"`
		Info                       string `json:"info_hex"`
		Keyid                      string
		Secret                     []byte `json:"secret_base64"`
	}
	Unusable []struct {
		Name string
		JWK  jwk
	}
	Usable []string
}

func readVectors(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(vectorFiles + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

func (f *vectorFile) verifier(t *testing.T, v vector) *Verifier {
	t.Helper()
	keys, err := ParseKeySet(f.Keys.JWKS)
	if err != nil {
		t.Fatal(err)
	}
	config := Config{
		Audience: f.Verifier.Audience, Keys: keys, Replay: newMemoryReplay(v.MemoryBegan),
		Tolerance:   time.Duration(f.Verifier.ToleranceSec) * time.Second,
		MaxLifetime: time.Duration(f.Verifier.MaxLifetimeSec) * time.Second,
		Now:         func() time.Time { return time.Unix(v.Now, 0) },
	}
	for _, each := range f.Keys.Secrets {
		if keyid := secretKeyID(each.Secret); keyid != each.Keyid {
			t.Fatalf("keyid %s, expected %s", keyid, each.Keyid)
		}
		config.Secrets = append(config.Secrets, each.Secret)
	}
	if len(f.Keys.Agreement) > 0 {
		set, _ := json.Marshal(map[string]any{"keys": f.Keys.Agreement})
		if config.Agreement, err = ParseAgreementKeys(set); err != nil {
			t.Fatal(err)
		}
	}
	verifier, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

// deliver gives a request to the verifier, with its header lines in order.
func deliver(v *Verifier, r vectorRequest, isStream bool) (*Identity, string, error) {
	m := &message{method: string(r.Method), target: string(r.Target), lines: r.lines(), isStream: isStream}
	id, err := v.verifyHead(context.Background(), m)
	if err != nil {
		return nil, "", err
	}
	covered, _ := m.headers.Check()
	path, query, _ := wire.SplitTarget(m.method, m.target)
	base := m.headers.Base(covered, m.method, path, query, m.params.Raw)
	return id, string(base), v.complete(context.Background(), m, r.BodyBase64)
}

func TestVectors(t *testing.T) {
	for _, name := range []string{"vectors.json", "agreed-vectors.json"} {
		var file vectorFile
		readVectors(t, name, &file)
		if len(file.Vectors) < 80 {
			t.Fatalf("%s has only %d vectors", name, len(file.Vectors))
		}
		for _, v := range file.Vectors {
			t.Run(v.Name, func(t *testing.T) { checkVector(t, file.verifier(t, v), v) })
		}
	}
}

// The environment variable VECTORS names a further file of vectors, such as random ones.
func TestFurtherVectors(t *testing.T) {
	path := os.Getenv("VECTORS")
	if path == "" {
		t.Skip("VECTORS names no file")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file vectorFile
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, v := range file.Vectors {
		t.Run(v.Name, func(t *testing.T) { checkVector(t, file.verifier(t, v), v) })
	}
}

func checkVector(t *testing.T, verifier *Verifier, v vector) {
	method, target := string(v.Request.Method), string(v.Request.Target)
	if isExempt := wire.IsExempt(method, target); isExempt != v.Exempt {
		t.Fatalf("exempt: %v", isExempt)
	}
	if v.Exempt {
		left := []string{}
		for _, header := range v.Request.Headers {
			if !wire.IsIdentityHeader(string(header[0])) {
				left = append(left, string(header[0]))
			}
		}
		if !slices.Equal(left, v.HeadersLeft) {
			t.Fatalf("headers left: %q, expected %q", left, v.HeadersLeft)
		}
		return
	}
	for _, before := range v.RequestsBefore {
		_, _, _ = deliver(verifier, before, v.Stream)
	}
	for range v.DeliveredBefore {
		_, _, _ = deliver(verifier, v.Request, v.Stream)
	}
	id, base, err := deliver(verifier, v.Request, v.Stream)
	if v.Refused != "" {
		if err != RefusedError(v.Refused) {
			t.Fatalf("got %v, expected %s", err, v.Refused)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := vectorForm(t, id); !reflect.DeepEqual(got, v.Identity) {
		t.Fatalf("got %v, expected %v", got, v.Identity)
	}
	if base != v.SignatureBase {
		t.Fatalf("base:\n%s\nexpected:\n%s", base, v.SignatureBase)
	}
}

// vectorForm is an identity in the form of docs/contract-vectors.md.
func vectorForm(t *testing.T, id *Identity) map[string]any {
	t.Helper()
	var form map[string]any
	text, err := json.Marshal(IdentityJSON(id))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &form); err != nil {
		t.Fatal(err)
	}
	return form
}

func TestKeySetVectors(t *testing.T) {
	var file vectorFile
	readVectors(t, "vectors.json", &file)
	for _, each := range file.KeySets {
		t.Run(each.Name, func(t *testing.T) {
			set, err := ParseKeySet(each.JWKS)
			var usable []string
			if err == nil {
				for kid := range set.signing {
					usable = append(usable, kid)
				}
			}
			slices.Sort(usable)
			slices.Sort(each.Usable)
			if !slices.Equal(usable, each.Usable) {
				t.Fatalf("usable: %q, expected %q", usable, each.Usable)
			}
		})
	}
}

func TestAnswerVectors(t *testing.T) {
	var file vectorFile
	readVectors(t, "vectors.json", &file)
	for _, each := range file.Answers {
		t.Run(each.Name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RequestURI = string(each.Request.Target)
			for _, line := range each.Request.lines() {
				r.Header.Add(line[0], line[1])
			}
			var cause error
			switch {
			case each.Cause.Refused != "":
				cause = RefusedError(each.Cause.Refused)
			case each.Cause.TooLarge:
				cause = errBodyTooLarge
			case each.Cause.Unavailable == "unavailable":
				cause = errors.New("a key source of another kind")
			default:
				cause = UnavailableError(each.Cause.Unavailable)
			}
			w := httptest.NewRecorder()
			answer(w, r, cause)
			var body map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			if body["request_id"] != w.Header().Get("X-Request-Id") {
				t.Fatalf("two ids: %v", body["request_id"])
			}
			if _, isKept := each.Answer.Body["request_id"]; !isKept {
				if id := w.Header().Get("X-Request-Id"); !wire.IsUUIDv7(id) {
					t.Fatalf("not a new id: %s", id)
				}
				delete(body, "request_id")
			}
			delete(body, "title")
			if w.Code != each.Answer.Status || !reflect.DeepEqual(body, each.Answer.Body) {
				t.Fatalf("got %d %v, expected %v", w.Code, body, each.Answer)
			}
			for name, value := range each.Answer.Headers {
				if w.Header().Get(name) != value {
					t.Fatalf("%s: %s, expected %s", name, w.Header().Get(name), value)
				}
			}
		})
	}
}

func TestAgreedVectors(t *testing.T) {
	var file vectorFile
	readVectors(t, "agreed-vectors.json", &file)
	set, err := ParseKeySet(file.Keys.JWKS)
	if err != nil {
		t.Fatal(err)
	}
	for _, kid := range file.Usable {
		if set.agreement[kid] == nil {
			t.Errorf("%s is not usable", kid)
		}
	}
	if len(set.agreement) != len(file.Usable) {
		t.Errorf("usable: %d", len(set.agreement))
	}
	for _, each := range file.Unusable {
		if _, err := each.JWK.agreementKey(); err == nil {
			t.Errorf("usable: %s", each.Name)
		}
	}
	keys := map[string]jwk{}
	for _, text := range file.Keys.Agreement {
		var key jwk
		_ = json.Unmarshal(text, &key)
		keys[key["kid"].(string)] = key
	}
	for _, key := range file.Keys.Gateway {
		keys[key["kid"].(string)] = key
	}
	for _, each := range file.Derivations {
		gateway, err := keys[each.Gateway].privateAgreementKey()
		if err != nil {
			t.Fatal(err)
		}
		service, err := keys[each.Service].privateAgreementKey()
		if err != nil {
			t.Fatal(err)
		}
		shared, _ := gateway.ECDH(service.PublicKey())
		if hex.EncodeToString(shared) != each.X25519 {
			t.Errorf("shared: %x, expected %s", shared, each.X25519)
		}
		for _, own := range []struct{ private, other int }{{0, 1}, {1, 0}} {
			pair := [2]string{each.Gateway, each.Service}
			private, _ := keys[pair[own.private]].privateAgreementKey()
			other, _ := keys[pair[own.other]].privateAgreementKey()
			secret, err := wire.Agree(private, other.PublicKey(), gateway.PublicKey(), service.PublicKey(), each.Audience)
			if err != nil || !bytes.Equal(secret, each.Secret) {
				t.Errorf("secret: %x %v, expected %x", secret, err, each.Secret)
			}
		}
		if each.Keyid != each.Gateway+"."+each.Service {
			t.Errorf("keyid: %s", each.Keyid)
		}
	}
	if len(file.Derivations) == 0 || len(file.Unusable) == 0 || len(file.Usable) == 0 {
		t.Fatal("vectors are missing")
	}
}

func TestPublishedKeysNeverWork(t *testing.T) {
	allowPublished = false
	defer func() { allowPublished = true }()
	var file, agreed vectorFile
	readVectors(t, "vectors.json", &file)
	readVectors(t, "agreed-vectors.json", &agreed)
	var all []string
	for _, names := range file.Published {
		all = append(all, names...)
	}
	slices.Sort(all)
	if known := slices.Sorted(slices.Values(published)); !slices.Equal(known, all) {
		t.Errorf("known: %q, expected %q", known, all)
	}
	for _, document := range []json.RawMessage{file.Keys.JWKS, agreed.Keys.JWKS} {
		if set, err := ParseKeySet(document); err == nil {
			t.Errorf("usable: %v %v", set.signing, set.agreement)
		}
	}
	// The kid and the public value each count.
	x := []byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"new","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)
	for _, document := range [][]byte{x, keySetDocument("ed-1")} {
		if _, err := ParseKeySet(document); err == nil {
			t.Errorf("usable: %s", document)
		}
	}
	if _, err := ParseKeySet(keySetDocument("ed-new")); err != nil {
		t.Error(err)
	}
	for _, text := range agreed.Keys.Agreement {
		if _, err := ParseAgreementKeys(text); err == nil {
			t.Errorf("accepted %s", text)
		}
	}
	for _, secret := range file.Keys.Secrets {
		config := Config{Audience: "my-service", Secrets: [][]byte{secret.Secret}, Replay: NewMemoryReplay()}
		if _, err := New(config); err == nil {
			t.Errorf("the secret %s is accepted", secret.Keyid)
		}
	}
}
