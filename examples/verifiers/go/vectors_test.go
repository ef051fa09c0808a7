package verifier

import (
	"cmp"
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
}

// In the file a character stands for a byte.
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

func TestShortSecret(t *testing.T) {
	if _, err := New("my-service", nil, map[string][]byte{"a": make([]byte, 31)}, 0, 5, 60); err == nil {
		t.Fatal("a secret of 31 bytes was accepted")
	}
}
