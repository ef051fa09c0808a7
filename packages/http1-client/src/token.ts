/** The characters of a token (RFC 9110 section 5.6.2), for use inside a regular expression's brackets. */
export const tokenCharacters = "!#$%&'*+.^_`|~0-9A-Za-z-";

/** A token, such as a method or a header name. */
export const token = new RegExp(`^[${tokenCharacters}]+$`);
