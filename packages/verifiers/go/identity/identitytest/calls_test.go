package identitytest

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"os"
	"testing"
	"time"
)

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
	Body           []byte `json:"body_base64"`
}

func TestNestedVectors(t *testing.T) {
	text, err := os.ReadFile("../../../../identity/nested-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Verifier struct{ Audience string }
		Services []struct {
			ID  string `json:"service_id"`
			JWK struct{ Kid, X string }
		}
		Vectors []struct {
			Name            string
			Now             int64
			RequestsBefore  []vectorRequest `json:"requests_before"`
			DeliveredBefore int             `json:"delivered_before"`
			Request         vectorRequest
			Refused         string
			Call            map[string]string
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	services := map[string]Service{}
	for _, each := range file.Services {
		key, _ := base64.RawURLEncoding.DecodeString(each.JWK.X)
		services[each.JWK.Kid] = Service{each.ID, ed25519.PublicKey(key)}
	}
	if len(file.Vectors) < 60 {
		t.Fatalf("only %d vectors", len(file.Vectors))
	}
	for _, v := range file.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			calls := NewCalls(file.Verifier.Audience, services)
			calls.replay.GatewayAhead = -100 * 365 * 24 * time.Hour // Since 1970.
			calls.Now = func() time.Time { return time.Unix(v.Now, 0) }
			deliver := func(r vectorRequest) (Call, error) {
				var lines [][2]string
				for _, line := range r.Headers {
					lines = append(lines, [2]string{string(line[0]), string(line[1])})
				}
				return calls.verify(context.Background(), string(r.Method), string(r.Target), lines, r.Body)
			}
			for _, before := range v.RequestsBefore {
				_, _ = deliver(before)
			}
			for range v.DeliveredBefore {
				_, _ = deliver(v.Request)
			}
			call, err := deliver(v.Request)
			switch {
			case v.Refused != "" && (err == nil || err.Error() != "identity refused: "+v.Refused):
				t.Errorf("got %v, expected %s", err, v.Refused)
			case v.Refused == "" && (err != nil || call != Call{v.Call["service_id"], v.Call["txn_token"]}):
				t.Errorf("got %v %v", call, err)
			}
		})
	}
}
