import { useStored } from '../store.ts';
import { language } from './texts.ts';

/** The categories of the demo and their descriptions in German. Other texts are shown as an admin wrote them. */
const german: Readonly<Record<string, string>> = {
  Lighting: 'Beleuchtung',
  'Street lights and stairway lights': 'Straßenlaternen und Treppenhauslicht',
  Roads: 'Straßen',
  'Potholes, signs and sidewalks': 'Schlaglöcher, Schilder und Gehwege',
  Noise: 'Lärm',
  'Construction sites, bars and machines': 'Baustellen, Lokale und Maschinen',
  Waste: 'Abfall',
  'Trash bins, collection and illegal dumping': 'Mülltonnen, Abholung und wilder Müll',
  Water: 'Wasser',
  'Leaks, drains and heating': 'Lecks, Abflüsse und Heizung',
  Billing: 'Rechnungen',
  Facilities: 'Gebäude',
  Housing: 'Wohnen',
  Parks: 'Parks',
  Safety: 'Sicherheit',
  Other: 'Sonstiges',
};

/** Returns how to show a category or its description. */
export function useCategoryText(): (text: string) => string {
  const shown = useStored(language);
  return (text) => (shown === 'de' ? german[text] : undefined) ?? text;
}
