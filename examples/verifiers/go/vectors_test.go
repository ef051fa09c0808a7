package verifier

import (
	"cmp"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

type vectorRequest struct {
	Method, Target string
	Headers        [][2]string
	BodyBase64     string `json:"body_base64"`
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
	Refused         string
	Exempt          bool
	HeadersLeft     []string `json:"headers_left"`
}

type document struct {
	Verifier struct {
		Audience    string
		Tolerance   int64 `json:"tolerance_sec"`
		MaxLifetime int64 `json:"max_lifetime_sec"`
	}
	Keys struct {
		JWKS    struct{ Keys []Key }
		Secrets []struct {
			Keyid  string
			Secret string `json:"secret_base64"`
		}
	}
	Vectors []vector
	KeySets []struct {
		Name   string
		JWKS   any
		Usable []string
	} `json:"key_sets"`
	Answers []struct {
		Name    string
		Request struct {
			Target  string
			Headers [][2]string
		}
		Cause  Cause
		Answer struct {
			Status  int
			Headers map[string]string
			Body    map[string]any
		}
	}
	Published map[string][]string
}

// In the file, each character stands for a byte.
func latin1(text string) string {
	bytes := []byte{}
	for _, character := range text {
		bytes = append(bytes, byte(character))
	}
	return string(bytes)
}

func requestOf(from vectorRequest, stream bool) Request {
	body, _ := base64.StdEncoding.DecodeString(from.BodyBase64)
	headers := [][2]string{}
	for _, header := range from.Headers {
		headers = append(headers, [2]string{latin1(header[0]), latin1(header[1])})
	}
	return Request{Method: latin1(from.Method), Target: latin1(from.Target), Headers: headers, Body: body, Stream: stream}
}

func TestVectors(t *testing.T) {
	text, err := os.ReadFile(cmp.Or(os.Getenv("VECTORS"), "../../../packages/identity/vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all document
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	secrets := map[string][]byte{}
	for _, entry := range all.Keys.Secrets {
		secrets[entry.Keyid], _ = base64.StdEncoding.DecodeString(entry.Secret)
	}
	if len(all.Vectors) < 100 {
		t.Fatalf("only %d vectors", len(all.Vectors))
	}
	AllowPublished = true
	defer func() { AllowPublished = false }()
	for _, each := range all.KeySets {
		t.Run("key set: "+each.Name, func(t *testing.T) {
			usable := KeySet(each.JWKS)
			for _, kid := range each.Usable {
				if usable[kid] == nil {
					t.Fatalf("%s is not usable", kid)
				}
			}
			if len(usable) != len(each.Usable) {
				t.Fatalf("usable: %v", usable)
			}
		})
	}
	for _, each := range all.Answers {
		t.Run("answer: "+each.Name, func(t *testing.T) {
			status, headers, text := Answer(latin1(each.Request.Target), each.Request.Headers, each.Cause)
			var body map[string]any
			_ = json.Unmarshal(text, &body)
			delete(body, "title")
			if body["request_id"] != headers["x-request-id"] {
				t.Fatalf("two ids: %v", body["request_id"])
			}
			if _, isKept := each.Answer.Body["request_id"]; !isKept {
				delete(body, "request_id")
				delete(headers, "x-request-id")
			}
			if status != each.Answer.Status || !reflect.DeepEqual(headers, each.Answer.Headers) || !reflect.DeepEqual(body, each.Answer.Body) {
				t.Fatalf("got %d %v %v, expected %v", status, headers, body, each.Answer)
			}
		})
	}
	for _, each := range all.Vectors {
		t.Run(each.Name, func(t *testing.T) {
			options := all.Verifier
			v, err := New(options.Audience, all.Keys.JWKS.Keys, secrets, each.MemoryBegan, options.Tolerance, options.MaxLifetime)
			if err != nil {
				t.Fatal(err)
			}
			check(t, v, each)
		})
	}
}

func check(t *testing.T, v *Verifier, each vector) {
	request := requestOf(each.Request, each.Stream)
	if isExempt := IsExempt(request.Method, request.Target); isExempt != each.Exempt {
		t.Fatalf("exempt: %v", isExempt)
	}
	if each.Exempt {
		left := []string{}
		for _, header := range WithoutIdentity(request.Headers) {
			left = append(left, header[0])
		}
		if !reflect.DeepEqual(left, each.HeadersLeft) {
			t.Fatalf("headers left: %v, expected %v", left, each.HeadersLeft)
		}
		return
	}
	for _, before := range each.RequestsBefore {
		_, _ = v.Verify(requestOf(before, each.Stream), each.Now)
	}
	for range each.DeliveredBefore {
		_, _ = v.Verify(request, each.Now)
	}
	identity, err := v.Verify(request, each.Now)
	if each.Refused != "" {
		if err == nil || err.Error() != each.Refused {
			t.Fatalf("expected %s, got %v", each.Refused, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	text, _ := json.Marshal(identity)
	var plain map[string]any
	_ = json.Unmarshal(text, &plain)
	if !reflect.DeepEqual(plain, each.Identity) {
		t.Fatalf("got %v, expected %v", plain, each.Identity)
	}
}

func TestPublished(t *testing.T) {
	text, err := os.ReadFile("../../../packages/identity/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all document
	_ = json.Unmarshal(text, &all)
	count := 0
	for _, values := range all.Published {
		for _, value := range values {
			count++
			if !Published[value] {
				t.Fatalf("%s is missing", value)
			}
		}
	}
	if count != len(Published) || count == 0 {
		t.Fatalf("%d published, %d known", count, len(Published))
	}
	v, _ := New("complaint-service", all.Keys.JWKS.Keys, nil, 0, 5, 60)
	if len(v.public) != 0 {
		t.Fatalf("usable: %v", v.public)
	}
	for _, entry := range all.Keys.Secrets {
		secret, _ := base64.StdEncoding.DecodeString(entry.Secret)
		if _, err := New("complaint-service", nil, map[string][]byte{"a": secret}, 0, 5, 60); err == nil {
			t.Fatal("a published secret was accepted")
		}
	}
}

func TestNestedVectors(t *testing.T) {
	text, err := os.ReadFile("../../../packages/identity/nested-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Verifier struct {
			Audience    string
			Tolerance   int64 `json:"tolerance_sec"`
			MaxLifetime int64 `json:"max_lifetime_sec"`
		}
		Services []struct {
			ID  string `json:"service_id"`
			JWK struct{ Kid, D string }
		}
		Vectors []struct {
			vector
			Call map[string]string
		}
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	services, keys := map[string]Service{}, map[string]ed25519.PrivateKey{}
	for _, each := range all.Services {
		seed, _ := base64.RawURLEncoding.DecodeString(each.JWK.D)
		key := ed25519.NewKeyFromSeed(seed)
		keys[each.JWK.Kid] = key
		services[each.JWK.Kid] = Service{each.ID, key.Public().(ed25519.PublicKey)}
	}
	for _, each := range all.Vectors {
		t.Run(each.Name, func(t *testing.T) {
			v := NewCallVerifier(all.Verifier.Audience, services, all.Verifier.Tolerance, all.Verifier.MaxLifetime)
			request := requestOf(each.Request, false)
			for _, before := range each.RequestsBefore {
				_, _, _ = v.VerifyCall(requestOf(before, false), each.Now)
			}
			for range each.DeliveredBefore {
				_, _, _ = v.VerifyCall(request, each.Now)
			}
			id, token, err := v.VerifyCall(request, each.Now)
			if each.Refused != "" {
				if err == nil || err.Error() != each.Refused {
					t.Fatalf("expected %s, got %v", each.Refused, err)
				}
				return
			}
			if err != nil || id != each.Call["service_id"] || token != each.Call["txn_token"] {
				t.Fatalf("got %s %s %v", id, token, err)
			}
			found, _ := readHeaders(request.Headers)
			given, _ := readSignature(found, callTag)
			call := Call{Gateway: all.Verifier.Audience, Method: request.Method, Target: request.Target, TxnToken: token,
				ContentType: found["content-type"], Body: request.Body}
			signed, err := SignCall(keys[given.keyid], given.keyid, call, given.created, given.nonce)
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range signed {
				if found[name] != value {
					t.Fatalf("%s: signed %s, expected %s", name, value, found[name])
				}
			}
		})
	}
}

func TestShortSecret(t *testing.T) {
	if _, err := New("my-service", nil, map[string][]byte{"a": make([]byte, 31)}, 0, 5, 60); err == nil {
		t.Fatal("a secret of 31 bytes was accepted")
	}
}
