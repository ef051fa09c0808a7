package verifier

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"slices"
)

// Nested calls: docs/nested-calls.md. A service signs them, and the gateway verifies them.

const callTag = "countersign-service-v2"

// The headers of a call, in the order of the signature, and the reason for a refusal if one is missing.
var callHeaders = []struct {
	name    string
	missing Refused
}{
	{"x-identity-audience", "header_missing"}, {"txn-token", ""}, {"content-type", ""}, {"content-digest", "content_digest_missing"},
}

// Call is what a service signs. TxnToken and ContentType are empty if the call has none.
type Call struct {
	Gateway, Method, Target, TxnToken, ContentType string
	Body                                           []byte
}

func callComponents(found map[string]string) []string {
	components := []string{"@method", "@path", "@query"}
	for _, header := range callHeaders {
		if _, isThere := found[header.name]; isThere {
			components = append(components, header.name)
		}
	}
	return components
}

// SignCall returns the headers that a service adds to a call. nonce must have at least 128 random bits, in base64url.
func SignCall(key ed25519.PrivateKey, keyid string, call Call, created int64, nonce string) (map[string]string, error) {
	path, query, err := splitTarget(call.Method, call.Target)
	if err != nil {
		return nil, err
	}
	sent := map[string]string{"x-identity-audience": call.Gateway, "content-digest": digestOf(call.Body)}
	if call.TxnToken != "" {
		sent["txn-token"] = call.TxnToken
	}
	if call.ContentType != "" {
		sent["content-type"] = call.ContentType
	}
	components := callComponents(sent)
	raw := fmt.Sprintf(`%s;created=%d;expires=%d;nonce="%s";keyid="%s";alg="ed25519";tag="%s"`,
		listOf(components), created, created+30, nonce, keyid, callTag)
	signed := ed25519.Sign(key, signatureBase(components, sent, call.Method, path, query, raw))
	delete(sent, "content-type")
	sent["signature-input"] = "countersign=" + raw
	sent["signature"] = "countersign=:" + base64.StdEncoding.EncodeToString(signed) + ":"
	return sent, nil
}

// Service is the owner of a key.
type Service struct {
	ID  string
	Key ed25519.PublicKey
}

// CallVerifier is the gateway's side.
type CallVerifier struct {
	Verifier
	owners map[string]Service
}

// NewCallVerifier creates a verifier of calls to this gateway. services maps each keyid to its owner.
func NewCallVerifier(gateway string, services map[string]Service, tolerance, maxLifetime int64) *CallVerifier {
	public := map[string]ed25519.PublicKey{}
	for keyid, service := range services {
		public[keyid] = service.Key
	}
	return &CallVerifier{owners: services, Verifier: Verifier{audience: gateway, public: public, tolerance: tolerance,
		maxLifetime: maxLifetime, nonces: map[string]int64{}}}
}

// VerifyCall returns the calling service and its txn-token, which the gateway then checks.
func (v *CallVerifier) VerifyCall(request Request, now int64) (serviceID, txnToken string, err error) {
	path, query, err := splitTarget(request.Method, request.Target)
	if err != nil {
		return "", "", err
	}
	found, err := readHeaders(request.Headers)
	if err != nil {
		return "", "", err
	}
	given, err := readSignature(found, callTag)
	if err != nil {
		return "", "", err
	}
	for _, header := range callHeaders {
		value, isThere := found[header.name]
		at := slices.IndexFunc(coveredHeaders, func(each covered) bool { return each.name == header.name })
		switch {
		case !isThere && header.missing != "":
			return "", "", header.missing
		case isThere && !coveredHeaders[at].matches(value):
			return "", "", Refused("header_malformed")
		}
	}
	components := callComponents(found)
	if given.list != listOf(components) {
		return "", "", Refused("coverage_insufficient")
	}
	if found["x-identity-audience"] != v.audience {
		return "", "", Refused("audience_mismatch")
	}
	if err := v.checkTimes(given, now); err != nil {
		return "", "", err
	}
	base := signatureBase(components, found, request.Method, path, query, given.raw)
	if err := v.checkSignature(given, base); err != nil {
		return "", "", err
	}
	if digestOf(request.Body) != found["content-digest"] {
		return "", "", Refused("content_digest_mismatch")
	}
	return v.owners[given.keyid].ID, found["txn-token"], v.claim(given, now)
}
