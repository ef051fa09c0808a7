package identitytest

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"

	"github.com/countersign/countersign/packages/verifiers/go/identity"
)

// Echo answers every verified request with its identity, in the form of docs/contract-vectors.md. It is what
// `countersign conformance` tests a service with. Never serve it outside of a test.
var Echo = identity.Require(http.HandlerFunc(echo), identity.KindUser, identity.KindClient, identity.KindAnonymous,
	identity.KindService, identity.KindGateway)

func echo(w http.ResponseWriter, r *http.Request) {
	caller, _ := identity.FromContext(r.Context())
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(IdentityJSON(caller)) // Fails if the client is gone.
}

// IdentityJSON returns the members of an identity in the form of docs/contract-vectors.md.
func IdentityJSON(id *identity.Identity) map[string]any {
	c := id.Context
	context := present(map[string]any{
		"ip": c.IP, "iss": c.Issuer, "sid": c.Session, "amr": c.AuthMethods, "jkt": c.KeyThumbprint, "client": c.Client,
		"scope": c.Scopes, "roles": c.Roles,
	})
	if !c.AuthTime.IsZero() {
		context["auth_time"] = c.AuthTime.Unix()
	}
	if c.Actor != nil {
		context["act"] = map[string]any{"sub": c.Actor.Subject, "iss": c.Actor.Issuer}
	}
	form := present(map[string]any{
		"kind": id.Kind, "request_id": id.RequestID, "txn_token": id.TxnToken, "service_id": id.ServiceID,
	})
	form["context"] = context
	add := func(name string, party map[string]any) {
		if id.Kind == identity.KindService {
			form[name] = party
		} else {
			maps.Copy(form, party)
		}
	}
	if user := id.User; user != nil {
		add("user", present(map[string]any{"user_id": user.ID, "role": user.Role, "tenant_id": user.TenantID}))
	}
	if client := id.Client; client != nil {
		add("client", present(map[string]any{"client_id": client.ID, "role": client.Role, "tenant_id": client.TenantID}))
	}
	return form
}

// present removes members without a value.
func present(members map[string]any) map[string]any {
	maps.DeleteFunc(members, func(_ string, value any) bool { return reflect.ValueOf(value).IsZero() })
	return members
}
