import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { escapeHtml, html } from './html.ts';

test('escapes every value, in elements and in attributes', () => {
  const text = `<b title="x">&'\``;
  expect(html`<p title="${text}">${text}</p>`.render()).toBe(
    '<p title="&lt;b title=&quot;x&quot;&gt;&amp;&#39;&#96;">&lt;b title=&quot;x&quot;&gt;&amp;&#39;&#96;</p>',
  );
});

test('inserts other templates, and lists of them, without escaping them again', () => {
  const items = ['<1>', '2'].map((one) => html`<li>${one}</li>`);
  expect(html`<ul>${items}</ul>`.render()).toBe('<ul><li>&lt;1&gt;</li><li>2</li></ul>');
});

test('renders missing values as nothing, and zero as 0', () => {
  expect(html`<p>${undefined}${null}${false}${true}${''}${0}</p>`.render()).toBe('<p>0</p>');
});

test('makes invisible and bidirectional characters visible', () => {
  expect(escapeHtml('user\u202egnp.exe\u200b\u0000')).toBe('user\\u202egnp.exe\\u200b\\u0000');
});

test('no text can break out of its element or attribute', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(html`${text}`.render()).not.toMatch(/[<>"'`]|&(?!(?:amp|lt|gt|quot|#39|#96);)/);
    }),
  );
});
