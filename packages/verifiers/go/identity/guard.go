package identity

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/countersign/countersign/packages/verifiers/go/internal/wire"
)

// Require lets callers of these kinds through to next, by default users alone, and answers others 403. A service that
// acts for a client needs both kinds, KindService and KindClient: a handler that does not know clients would take it for
// a service that acts for itself.
func Require(next http.Handler, kinds ...Kind) http.Handler {
	if len(kinds) == 0 {
		kinds = []Kind{KindUser}
	}
	return guard(next, func(id *Identity, _ bool) (code, challenge string) {
		isForClient := id.Kind == KindService && id.Client != nil
		if !slices.Contains(kinds, id.Kind) || isForClient && !slices.Contains(kinds, KindClient) {
			return "identity_not_allowed", ""
		}
		return "", ""
	})
}

// RequireRole lets users, and services acting for users, with one of these roles through to next, and answers others
// 403. Inside of [Require], it also looks at the role of a client.
func RequireRole(next http.Handler, roles ...string) http.Handler {
	if len(roles) == 0 || slices.Contains(roles, "") {
		panic("identity: RequireRole needs a role")
	}
	return guard(next, func(id *Identity, isAccepted bool) (code, challenge string) {
		if id.User != nil && slices.Contains(roles, id.User.Role) ||
			id.Client != nil && isAccepted && slices.Contains(roles, id.Client.Role) {
			return "", ""
		}
		return "insufficient_role", ""
	})
}

// RequireScope lets users, and services acting for users, whose token has all of these scopes through to next, and
// answers others 403. Inside of [Require], it accepts every kind that Require does.
func RequireScope(next http.Handler, scopes ...string) http.Handler {
	if len(scopes) == 0 || slices.ContainsFunc(scopes, func(scope string) bool { return !wire.IsScope(scope) }) {
		panic(fmt.Sprintf("identity: not scopes of RFC 6749 section 3.3: %q", scopes))
	}
	return guard(next, func(id *Identity, isAccepted bool) (code, challenge string) {
		if id.User == nil && !isAccepted {
			return "identity_not_allowed", ""
		}
		if !slices.ContainsFunc(scopes, func(scope string) bool { return !slices.Contains(id.Context.Scopes, scope) }) {
			return "", ""
		}
		scheme := "Bearer" // RFC 6750 section 3.1.
		if id.Context.KeyThumbprint != "" {
			scheme = "DPoP" // RFC 9449 section 7.1.
		}
		return "insufficient_scope", fmt.Sprintf(`%s error="insufficient_scope", scope="%s"`, scheme, strings.Join(scopes, " "))
	})
}

// guard calls next unless check returns a code. isAccepted is whether a guard around this one accepted the caller.
func guard(next http.Handler, check func(id *Identity, isAccepted bool) (code, challenge string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := r.Context().Value(verifiedKey{}).(*Identity)
		if !ok {
			slog.ErrorContext(r.Context(), "identity: a guard needs Verifier.Handler around it, and a path that is not exempt")
			http.Error(w, "Internal Server Error", http.StatusInternalServerError)
			return
		}
		_, isAccepted := FromContext(r.Context())
		code, challenge := check(id, isAccepted)
		if challenge != "" {
			w.Header().Set("WWW-Authenticate", challenge)
		}
		if code != "" {
			problem(w, r, code)
			return
		}
		next.ServeHTTP(w, withIdentity(r, allowedKey{}, id))
	})
}
