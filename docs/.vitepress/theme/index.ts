import type { Theme } from 'vitepress';
import DefaultTheme from 'vitepress/theme-without-fonts';
import Tabs from './Tabs.vue';

export default { extends: DefaultTheme, enhanceApp: ({ app }) => app.component('Tabs', Tabs) } satisfies Theme;
