import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { categoriesQuery } from '../queries.ts';
import { type Texts, useTexts } from '../texts/texts.ts';
import { statuses } from '../workflow.ts';
import { type Filters, orders, owners, priorities, readFilters } from './filters.ts';

const route = getRouteApi('/queue');

/** The filters, which are in the URL so that views can be bookmarked and shared. */
export function QueueFilters({ onSearch }: { onSearch: (text: string) => void }) {
  const texts = useTexts();
  const filters = route.useSearch();
  const navigate = route.useNavigate();
  const categories = useQuery(categoriesQuery).data ?? [];
  const set = (name: keyof Filters, value: string | boolean) =>
    void navigate({ search: readFilters({ ...filters, [name]: value || undefined }), replace: true });
  return (
    <search className="filters" aria-label={texts.queue.filters}>
      {choicesOf(texts, categories).map(({ name, label, none, options }) => (
        <div className="field" key={name}>
          <label htmlFor={name}>{label}</label>
          <select id={name} value={filters[name] ?? ''} onChange={({ target }) => set(name, target.value)}>
            <option value="">{none}</option>
            {options.map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </select>
        </div>
      ))}
      <form
        className="field"
        action={(form) => {
          const text = String(form.get('q')).trim();
          set('q', text);
          onSearch(text);
        }}
      >
        <label htmlFor="search">{texts.queue.search}</label>
        <input id="search" type="search" name="q" maxLength={200} defaultValue={filters.q} enterKeyHint="search" />
      </form>
      <div className="pair">
        <label className="check">
          <input
            type="checkbox"
            checked={filters.overdue === true}
            onChange={({ target }) => set('overdue', target.checked)}
          />
          {texts.queue.overdue}
        </label>
        <button type="button" className="link" onClick={() => void navigate({ search: {}, replace: true })}>
          {texts.queue.reset}
        </button>
      </div>
    </search>
  );
}

type Choice = Readonly<{
  name: Exclude<keyof Filters, 'overdue' | 'q'>;
  label: string;
  /** The label if nothing is chosen. */
  none: string;
  options: readonly (readonly [value: string, text: string])[];
}>;

function choicesOf({ queue, status, priority }: Texts, categories: readonly { name: string }[]): Choice[] {
  const others = orders.filter((order) => order !== 'priority');
  return [
    { name: 'whose', label: queue.whose, none: queue.everyone, options: owners.map((each) => [each, queue[each]]) },
    {
      name: 'status',
      label: queue.status,
      none: queue.active,
      options: [['any', queue.any], ...statuses.map((each) => [each, status[each]] as const)],
    },
    {
      name: 'category',
      label: queue.category,
      none: queue.any,
      options: categories.map(({ name }) => [name, name]),
    },
    {
      name: 'priority',
      label: queue.priority,
      none: queue.any,
      options: priorities.map((each) => [each, priority[each]]),
    },
    {
      name: 'sort',
      label: queue.sort,
      none: queue.orders.priority,
      options: others.map((each) => [each, queue.orders[each]]),
    },
  ];
}
