package identity

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/countersign/countersign/packages/verifiers/go/internal/wire"
)

// TestParsers parses inputs for infra/prove/parsers: each line of the file PARSERS is a parser and a text, whose
// characters are bytes. It writes one JSON object a line to the file PARSED.
func TestParsers(t *testing.T) {
	if os.Getenv("PARSERS") == "" {
		t.Skip("infra/prove/parsers runs this with inputs")
	}
	allowed := allowPublished
	allowPublished = false
	defer func() { allowPublished = allowed }()
	given, err := os.Open(os.Getenv("PARSERS"))
	if err != nil {
		t.Fatal(err)
	}
	defer given.Close()
	var parsed strings.Builder
	for from, to := json.NewDecoder(given), json.NewEncoder(&parsed); from.More(); {
		var line [2]string
		if err := from.Decode(&line); err != nil {
			t.Fatal(err)
		}
		text := make([]byte, 0, len(line[1]))
		for _, char := range line[1] {
			text = append(text, byte(char))
		}
		if err := to.Encode(parsers[line[0]](string(text))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(os.Getenv("PARSED"), []byte(parsed.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

type facts map[string]any

var parsers = map[string]func(text string) facts{
	"signature-input":    signatureInputFacts,
	"x-identity-context": contextFacts,
	"jws":                tokenFacts,
	"jwks":               keySetFacts,
}

func signatureInputFacts(text string) facts {
	h := wire.Headers{"signature-input": text, "signature": "countersign=:" + strings.Repeat("A", 43) + "=:"}
	p, err := h.Params(wire.RequestTag)
	if err == wire.Refused("tag_mismatch") {
		return facts{"value": "another tag"}
	} else if err != nil {
		return facts{}
	}
	return facts{"value": []any{p.Raw, p.List, p.Created, p.Expires, p.Nonce, p.KeyID, p.Algorithm}}
}

func contextFacts(text string) facts {
	var c Context
	if !c.parse(text) {
		return facts{}
	}
	members := map[string]any{}
	for name, member := range map[string]string{
		"ip": c.IP, "iss": c.Issuer, "sid": c.Session, "jkt": c.KeyThumbprint, "client": c.Client,
	} {
		if member != "" {
			members[name] = member
		}
	}
	for name, list := range map[string][]string{"amr": c.AuthMethods, "scope": c.Scopes, "roles": c.Roles} {
		if list != nil {
			members[name] = list
		}
	}
	if !c.AuthTime.IsZero() {
		members["auth-time"] = c.AuthTime.Unix()
	}
	if c.Actor != nil {
		members["act"] = map[string]string{"sub": c.Actor.Subject, "iss": c.Actor.Issuer}
	}
	return facts{"value": members}
}

func tokenFacts(text string) facts {
	parts := strings.Split(text, ".")
	if len(text) > 4096 || len(parts) != 3 {
		return facts{}
	}
	header, payload, signature := members(parts[0]), members(parts[1]), wire.DecodeURL(parts[2])
	if header == nil || payload == nil || len(signature) == 0 {
		return facts{}
	}
	found := facts{"value": []any{header, payload}}
	keys, err := ParseTokenKeySet([]byte(os.Getenv("TOKEN_KEYS")))
	if err != nil {
		panic(err)
	}
	if kid, _ := header["kid"].(string); header["alg"] == "ES256" && keys.signing[kid] != nil &&
		keys.signing[kid].verify([]byte(parts[0]+"."+parts[1]), signature) {
		found["verified"] = true
	}
	return found
}

func keySetFacts(text string) facts {
	found := facts{}
	signing, err := ParseKeySet([]byte(text))
	if err == nil {
		for kid := range signing.signing {
			found["EdDSA "+kid] = lastX(text, kid)
		}
		for kid := range signing.agreement {
			found["agreement "+kid] = lastX(text, kid)
		}
	}
	if tokens, err := ParseTokenKeySet([]byte(text)); err == nil {
		for kid := range tokens.signing {
			found["ES256 "+kid] = lastX(text, kid)
		}
	}
	return found
}

// lastX returns x of the entry with a kid that no other entry has.
func lastX(text, kid string) (x any) {
	var set map[string]any
	decoder := json.NewDecoder(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
	decoder.UseNumber()
	_ = decoder.Decode(&set) // ParseKeySet read it.
	entries, _ := set["keys"].([]any)
	for _, entry := range entries {
		if asJWK(entry)["kid"] == any(kid) {
			x = asJWK(entry)["x"]
		}
	}
	return x
}

func TestTextsThatParsersReadDifferently(t *testing.T) {
	for text, isRead := range map[string]bool{
		`{"a":"\ud83d\ude00 \\ud83d \u00e9"}`: true,
		`{"a":"\ud83d"}`:                      false, `{"a":"\ude00\ud83d"}`: false, `{"\ud800":1}`: false, `{"a":1e400}`: false, `{"a":NaN}`: false,
	} {
		if got := members(base64.RawURLEncoding.EncodeToString([]byte(text))) != nil; got != isRead {
			t.Errorf("%s: %v", text, got)
		}
	}
	key := `{"kty":"OKP","crv":"Ed25519","kid":%q,"x":"VWv6XGD_hUNV0emyPHkXeCV-NKHUbFKF97Q4AACPCUg","n":1e400}`
	for kid, isRead := range map[string]bool{"a": true, "b c": false, "": false, "\u00e9": false} {
		if _, err := ParseKeySet(fmt.Appendf(nil, "\ufeff{\"keys\":["+key+"]}", kid)); (err == nil) != isRead {
			t.Errorf("%q: %v", kid, err)
		}
	}
}
