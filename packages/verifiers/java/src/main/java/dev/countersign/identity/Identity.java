package dev.countersign.identity;

import java.util.*;

/**
 * The caller of a verified request, Section 4.1. A member that the caller does not have is null. In the context
 * (Section 7), {@code auth_time} is a Long, {@code amr}, {@code scope} and {@code roles} are lists of strings,
 * {@code act} is a map of {@code sub} and {@code iss}, and others are strings.
 */
public record Identity(String kind, String requestId, Map<String, Object> context, String serviceId, String clientId,
                       String userId, String role, String tenantId, String txnToken) {
    static Identity of(Map<String, String> of, Map<String, Object> context) {
        return new Identity(of.get("x-identity"), of.get("x-request-id"), context, of.get("x-service-id"),
            of.get("x-client-id"), of.get("x-user-id"), of.get("x-user-role"), of.get("x-tenant-id"),
            of.get("txn-token"));
    }

    /** {@return the scopes or roles of the client's token, or the methods of the login: none without the member} */
    public List<String> list(String member) {
        if (!(context.get(member) instanceof List<?> items)) return List.of();
        return items.stream().map(String.class::cast).toList();
    }

    /** Accepts the named kinds, by default user; a service that acts for a client needs both. @throws Refused 403 */
    public Identity requireKind(String... kinds) {
        List<String> accepted = kinds.length == 0 ? List.of("user") : List.of(kinds);
        boolean isForClient = serviceId != null && clientId != null;
        if (accepted.contains(kind) && (!isForClient || accepted.contains("client"))) return this;
        throw Refused.of(403, "identity_not_allowed");
    }

    /** Accepts the named roles in the tenant. @throws Refused 403 {@code insufficient_role} */
    public Identity requireRole(String... roles) {
        if (role != null && List.of(roles).contains(role)) return this;
        throw Refused.of(403, "insufficient_role");
    }

    /** Requires every named scope. @throws Refused 403 {@code insufficient_scope}, with the names (R10-5) */
    public Identity requireScope(String... scopes) {
        if (list("scope").containsAll(List.of(scopes))) return this;
        String scheme = context.containsKey("jkt") ? "DPoP" : "Bearer";
        String challenge = scheme + " error=\"insufficient_scope\", scope=\"" + String.join(" ", scopes) + "\"";
        throw Refused.of(403, "insufficient_scope", "www-authenticate", challenge);
    }
}
