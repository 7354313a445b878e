import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { floorsOf, type Job, stagesBound } from "./list-schedule.js";

const job = (role: number, host: string, durationMs: number): Job => ({ role, host, durationMs });

describe("floorsOf()", () => {
  it("follows a chain of roles, each as long as its longest task", () => {
    const jobs = [job(0, "a", 10), job(0, "b", 30), job(1, "a", 20), job(2, "c", 5)];
    const floors = floorsOf(jobs, [[], [0], [1]]);
    assert.deepEqual(floors, {
      ...{ criticalPathMs: 55, busiestHostMs: 30, listScheduleMs: 55, floorMs: 55 },
    });
  });

  it("has a host do one task at a time", () => {
    const floors = floorsOf([job(0, "a", 10), job(1, "a", 20), job(2, "b", 5)], [[], [], []]);
    assert.equal(floors.criticalPathMs, 20);
    assert.equal(floors.busiestHostMs, 30);
    assert.equal(floors.listScheduleMs, 30);
  });

  it("begins with what has the longest way to the end", () => {
    // Host a: 1 first would keep b waiting for 30 more.
    const jobs = [job(0, "a", 30), job(1, "a", 10), job(2, "b", 40)];
    assert.equal(floorsOf(jobs, [[], [], [1]]).floorMs, 50);
  });

  it("leaves a task alone that has begun", () => {
    // When role 2 may begin, host a has just begun with role 1.
    const jobs = [job(0, "b", 10), job(1, "a", 50), job(2, "a", 10), job(3, "b", 10)];
    assert.equal(floorsOf(jobs, [[], [], [0], [2]]).listScheduleMs, 70);
  });

  it("passes over a role without tasks, and knows nothing as no time", () => {
    assert.equal(floorsOf([job(0, "a", 10), job(2, "b", 10)], [[], [0], [1]]).floorMs, 20);
    assert.equal(floorsOf([], []).floorMs, 0);
  });
});

describe("stagesBound()", () => {
  it("adds up the longest queue of each stage", () => {
    const stages = [[job(0, "a", 10), job(1, "a", 10), job(1, "b", 15)], [job(2, "b", 5)]];
    assert.equal(stagesBound(stages), 25);
  });
});
