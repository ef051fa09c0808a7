// The page is sandboxed, where accessing the browser's storage throws. Scalar gets a storage that lives as long as the
// page.
const createStorage = () => {
  const items = new Map();
  return {
    getItem: (key) => items.get(String(key)) ?? null,
    setItem: (key, value) => void items.set(String(key), String(value)),
    removeItem: (key) => void items.delete(String(key)),
    clear: () => items.clear(),
    key: (index) => [...items.keys()][index] ?? null,
    get length() {
      return items.size;
    },
  };
};
for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, { value: createStorage() });
