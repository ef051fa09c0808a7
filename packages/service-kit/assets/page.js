// `description` is declared before these lines by the service, so that the page sends no request for it.
document.title = description.info.title;
Scalar.createApiReference('#app', {
  content: description,
  withDefaultFonts: false,
  telemetry: false,
  hideTestRequestButton: true,
  hideClientButton: true,
  showDeveloperTools: 'never',
  agent: { disabled: true },
  mcp: { disabled: true },
  documentDownloadType: 'none',
  // Contrast and sizes as WCAG 2.2 AA requires them.
  customCss: `
    .light-mode { --scalar-color-2: #595959; --scalar-color-3: #666; --scalar-color-green: #00683f; --scalar-color-blue: #0062b8; --scalar-color-orange: #a64b00; --scalar-color-red: #c00000; --scalar-color-purple: #6b3fb5; --scalar-color-yellow: #7a5a00; }
    .dark-mode { --scalar-color-2: #b5b5b5; --scalar-color-3: #a3a3a3; }
    button { min-width: 24px; min-height: 24px; }`,
});

// Scalar leaves these buttons without a name, and puts links into buttons, which a keyboard reaches in the list anyway.
new MutationObserver(() => {
  for (const button of document.querySelectorAll('.scalar-code-copy:not([aria-label])')) button.ariaLabel = 'Copy';
}).observe(document.body, { childList: true, subtree: true });
