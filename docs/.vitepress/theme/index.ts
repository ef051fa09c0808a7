import type { Theme } from 'vitepress';
import DefaultTheme from 'vitepress/theme-without-fonts';
import './theme.css';
import Tabs from './Tabs.vue';

export default { extends: DefaultTheme, enhanceApp: ({ app }) => void app.component('Tabs', Tabs) } satisfies Theme;
