import type { Complaint } from '../session.ts';
import { useTexts, useTimes } from '../texts/texts.ts';

export function Description({ complaint: { description, location } }: { complaint: Complaint }) {
  const texts = useTexts();
  const { number } = useTimes();
  const { latitude = null, longitude = null, address = null } = location ?? {};
  return (
    <section className="card" aria-labelledby="description">
      <h2 id="description">{texts.complaint.description}</h2>
      <p className="prose">{description}</p>
      {location !== null && (
        <>
          <h3>{texts.complaint.place}</h3>
          {address !== null && <p>{address}</p>}
          {latitude !== null && longitude !== null && (
            <p className="muted">{texts.complaint.map(number(latitude, 5), number(longitude, 5))}</p>
          )}
        </>
      )}
    </section>
  );
}
