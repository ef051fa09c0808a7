import type { Migration } from '@countersign/database';
import { appRole } from '../roles.ts';
import { isAdmin, isKnown, isStaff, restrictCommand, restrictRequests, tenantTable } from './policies.ts';

const settings = `
  create table settings (
    tenant_id text primary key check (tenant_id <> ''),
    open_catalogue boolean not null default true,
    revision uuid not null,
    updated_at timestamptz(3) not null
  )`;

const teams = `
  create table teams (
    tenant_id text not null check (tenant_id <> ''),
    id uuid not null,
    name text not null,
    name_key text collate "C" not null,
    revision uuid not null,
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null,
    primary key (tenant_id, id),
    constraint teams_name unique (tenant_id, name_key)
  )`;

const teamMembers = `
  create table team_members (
    tenant_id text not null,
    team_id uuid not null,
    user_id text not null check (user_id <> ''),
    primary key (tenant_id, team_id, user_id),
    foreign key (tenant_id, team_id) references teams (tenant_id, id)
  )`;

// A name is unique in its folded form. Targets are in minutes; null means that there is none.
const categories = `
  create table categories (
    tenant_id text not null check (tenant_id <> ''),
    id uuid not null,
    name text not null,
    name_key text collate "C" not null,
    description text not null default '',
    team_id uuid,
    first_answer_minutes integer check (first_answer_minutes > 0),
    resolution_minutes integer check (resolution_minutes > 0),
    active boolean not null default true,
    revision uuid not null,
    created_at timestamptz(3) not null,
    updated_at timestamptz(3) not null,
    primary key (tenant_id, id),
    constraint categories_name unique (tenant_id, name_key),
    foreign key (tenant_id, team_id) references teams (tenant_id, id)
  )`;

export const catalogueMigration: Migration = {
  name: '0006-catalogue',
  statements: [
    settings,
    ...tenantTable('settings'),
    `grant select, insert, update (open_catalogue, revision, updated_at) on settings to ${appRole}`,
    restrictRequests('settings', { using: isKnown, check: isAdmin }),

    teams,
    ...tenantTable('teams'),
    `grant select, insert, update (name, name_key, revision, updated_at) on teams to ${appRole}`,
    restrictRequests('teams', { using: isKnown, check: isAdmin }),

    teamMembers,
    ...tenantTable('team_members'),
    `grant select, insert, delete on team_members to ${appRole}`,
    restrictRequests('team_members', { using: isStaff, check: isAdmin }),
    restrictCommand('team_members', 'delete', isAdmin),

    categories,
    ...tenantTable('categories'),
    `grant select, insert on categories to ${appRole}`,
    `grant update (name, name_key, description, team_id, first_answer_minutes, resolution_minutes, active, revision,
       updated_at) on categories to ${appRole}`,
    // While the catalogue is open, everyone who files a complaint may add a category by naming it.
    restrictRequests('categories', { using: isKnown }),
    restrictCommand('categories', 'update', isAdmin),
  ],
};
