package dev.countersign.identity;

import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The caller of a verified request, Section 4.1 of the draft. A member that the kind of caller does not have is null.
 *
 * @param kind      {@code user}, {@code client}, {@code anonymous}, {@code service} or {@code gateway}
 * @param requestId the id that the gateway gave the request, a UUIDv7
 * @param context   the members of Section 7: {@code auth_time} is a Long, {@code amr}, {@code scope} and {@code roles}
 *                  are lists of strings, {@code act} is a map of {@code sub} and {@code iss}, others are strings
 * @param serviceId the calling service, of kind {@code service}
 * @param clientId  the client, of kind {@code client} or of a service that acts for it
 * @param userId    the user, of kind {@code user} or of a service that acts for the user
 * @param role      the role of the user or client in the tenant
 * @param tenantId  the tenant of the user or client
 * @param txnToken  opaque; a service sends it on nested calls
 */
public record Identity(String kind, String requestId, Map<String, Object> context, String serviceId, String clientId,
                       String userId, String role, String tenantId, String txnToken) {
    static Identity of(Map<String, String> headers, Map<String, Object> context) {
        return new Identity(headers.get("x-identity"), headers.get("x-request-id"), context,
            headers.get("x-service-id"), headers.get("x-client-id"), headers.get("x-user-id"),
            headers.get("x-user-role"), headers.get("x-tenant-id"), headers.get("txn-token"));
    }

    /** {@return the scopes of the client's token, none if the context has no {@code scope}} */
    public List<String> scopes() {
        return strings("scope");
    }

    /** {@return the roles of the client's token, none if the context has no {@code roles}} */
    public List<String> roles() {
        return strings("roles");
    }

    /**
     * Accepts the named kinds of caller. A service that acts for a client needs both {@code service} and
     * {@code client} (R4-5).
     *
     * @throws Refused 403 {@code identity_not_allowed}
     */
    public void requireKind(Set<String> kinds) {
        boolean allowed = kinds.contains(kind) && (serviceId == null || clientId == null || kinds.contains("client"));
        if (!allowed) throw Refused.notAllowed("identity_not_allowed", "This kind of caller is not allowed.");
    }

    /** Accepts the roles in the tenant. @throws Refused 403 {@code insufficient_role} */
    public void requireRole(String... roles) {
        if (role == null || !List.of(roles).contains(role)) {
            throw Refused.notAllowed("insufficient_role", "The caller's role is not sufficient.");
        }
    }

    /** Requires every named scope. @throws Refused 403 {@code insufficient_scope}, which names them (R10-5) */
    public void requireScope(String... scopes) {
        if (scopes().containsAll(List.of(scopes))) return;
        throw Refused.notAllowed("insufficient_scope", "The token's scopes are not sufficient.", "www-authenticate",
            (context.containsKey("jkt") ? "DPoP" : "Bearer") + " error=\"insufficient_scope\", scope=\""
                + String.join(" ", scopes) + "\"");
    }

    private List<String> strings(String member) {
        return context.get(member) instanceof List<?> items ? items.stream().map(String.class::cast).toList() : List.of();
    }
}
