"""Turns: fair among equals; what is urgent waits for one handler at most, and starves none."""

import asyncio

from ringback.receive.inbox.turn import Turn


def test_all_that_is_urgent_goes_after_each_handler() -> None:
    async def story() -> None:
        turn, order = Turn(), list[str]()

        async def use(name: str, *, is_urgent: bool) -> None:
            async with turn.taken(is_urgent=is_urgent):
                order.append(name)
                if name == "other 0":
                    group.create_task(use("late 0", is_urgent=True))
                if name == "late 0":
                    group.create_task(use("late 1", is_urgent=True))
                await asyncio.sleep(0)

        await turn.take(is_urgent=True)
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(use(f"urgent {number}", is_urgent=True))
                group.create_task(use(f"other {number}", is_urgent=False))
            await asyncio.sleep(0)
            turn.give()
        assert order == [
            *("other 0", "urgent 0", "urgent 1", "urgent 2", "late 0"),
            *("other 1", "late 1", "other 2"),
        ]

    asyncio.run(story())


def test_whoever_is_cancelled_passes_the_turn_on() -> None:
    async def story() -> None:
        turn = Turn()
        await turn.take(is_urgent=True)
        tasks = [asyncio.create_task(turn.take(is_urgent=False)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[0].cancel()  # while it waits
        turn.give()
        tasks[1].cancel()  # when it has been given the turn, and does not know yet
        await asyncio.wait(tasks)
        assert [task.cancelled() for task in tasks] == [True, True, False]
        turn.give()
        await turn.take(is_urgent=True)

    asyncio.run(story())
