package identity

import (
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/packages/verifiers/go/internal/wire"
)

// What the shared vectors do not show.

func TestSignOfAPublicKey(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	for err == nil && public[31]&0x80 == 0 {
		public, private, err = ed25519.GenerateKey(nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	entry := jwk{"kty": "OKP", "crv": "Ed25519", "x": encode([32]byte(public))}
	if key, ok := entry.signingKey(); !ok || !ed25519.Verify(key, nil, ed25519.Sign(private, nil)) {
		t.Error("a key with the sign is not usable")
	}
	for _, x := range smallOrder {
		point, _ := wire.Decode32(x)
		point[31] |= 0x80
		entry["x"] = encode(point)
		if _, ok := entry.signingKey(); ok {
			t.Errorf("usable: %s with the sign", x)
		}
	}
}

func TestPrivateHalfOfAnAgreementKey(t *testing.T) {
	text, err := NewAgreementKey()
	if err != nil {
		t.Fatal(err)
	}
	var key jwk
	if err := json.Unmarshal(text, &key); err != nil {
		t.Fatal(err)
	}
	for _, d := range []any{key["d"], "AA", nil} {
		key["d"] = d
		if _, err := key.agreementKey(); err == nil {
			t.Errorf("usable with d: %v", d)
		}
	}
	delete(key, "d")
	if _, err := key.agreementKey(); err != nil {
		t.Error(err)
	}
}

func TestLeadingZerosOfTimes(t *testing.T) {
	input := `countersign=("@method");created=1800000000;expires=1800000030;nonce="AAAAAAAAAAAAAAAA";keyid="k";` +
		`alg="ed25519";tag="countersign-v1"`
	h := wire.Headers{"signature-input": input, "signature": "countersign=:" + strings.Repeat("A", 86) + "==:"}
	if _, err := h.Params(wire.RequestTag); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{";created=", ";expires="} {
		for _, zeros := range []string{"0", "00", "0000"} {
			h["signature-input"] = strings.Replace(input, name, name+zeros, 1)
			if _, err := h.Params(wire.RequestTag); err != wire.Refused("signature_malformed") {
				t.Errorf("%s%s: %v", name, zeros, err)
			}
		}
	}
}

func TestUpperCaseRequestID(t *testing.T) {
	id := wire.NewRequestID(time.Now())[:35]
	h := wire.Headers{"x-request-id": id + "a", "x-identity": "anonymous", "x-identity-audience": "a", "x-identity-context": ""}
	if _, err := h.Check(); err != nil {
		t.Fatal(err)
	}
	h["x-request-id"] = id + "A"
	if _, err := h.Check(); err != wire.Refused("header_malformed") {
		t.Errorf("upper case: %v", err)
	}
}
