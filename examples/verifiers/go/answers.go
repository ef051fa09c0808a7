package verifier

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
)

// Cause is why a service does not accept a request: a reason, an outage, or a body that is too large. Exactly one is
// set.
type Cause struct {
	Refused, Unavailable string
	TooLarge             bool `json:"too_large"`
}

// Answer returns status, headers and body for a request that is not accepted (section 8).
func Answer(target string, headers [][2]string, cause Cause) (int, map[string]string, []byte) {
	status, code := 503, "identity_unavailable"
	answer := map[string]string{"content-type": "application/problem+json", "cache-control": "no-store"}
	switch {
	case cause.Refused != "":
		status, code = 401, "identity_refused"
		answer["www-authenticate"], answer["x-identity-refused"] = "Countersign", cause.Refused
	case cause.TooLarge:
		status, code = 413, "payload_too_large"
		answer["connection"] = "close"
	default:
		answer["retry-after"], answer["x-identity-unavailable"] = "1", cause.Unavailable
	}
	ids := []string{}
	for _, header := range headers {
		if strings.ToLower(header[0]) == "x-request-id" {
			ids = append(ids, header[1])
		}
	}
	if len(ids) != 1 || !uuidV7.MatchString(ids[0]) {
		ids = []string{newRequestID()}
	}
	answer["x-request-id"] = ids[0]
	path, _, _ := strings.Cut(target, "?")
	characters := []rune{}
	for _, each := range []byte(path[:min(len(path), 1024)]) {
		characters = append(characters, rune(each))
	}
	body, _ := json.Marshal(map[string]any{"type": "urn:countersign:error:" + code, "title": strings.ReplaceAll(code, "_", " "),
		"status": status, "instance": string(characters), "code": code, "request_id": ids[0]})
	return status, answer, body
}

func newRequestID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	now := time.Now().UnixMilli()
	for index := range 6 {
		id[index] = byte(now >> (8 * (5 - index)))
	}
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	text := hex.EncodeToString(id)
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}
