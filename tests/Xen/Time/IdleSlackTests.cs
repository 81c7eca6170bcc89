using Dbt.Tests.Xen.Processor;
using Dbt.Xen.Time;

namespace Dbt.Tests.Xen.Time;

/// <summary>How late an idle guest's tick may be: what is taken for a tick, and how much of quiet allows how much.</summary>
public sealed class IdleSlackTests
{
    private const long Millisecond = 1_000_000, Period = 4 * Millisecond;

    [Fact]
    public void ATickIsWhatStaysOnItsGrid()
    {
        var grid = new TickGrid();
        long deadline = 1000 * Millisecond;
        for (int i = 0; i < TickGrid.Needed + 1; i++)
        {
            Assert.Equal(0, grid.Period);

            // A kernel's own clock and ours differ by a little.
            deadline += Period;
            grid.Armed(deadline + (i * 7 % 5 * 1000));
        }

        grid.Armed(deadline += Period);
        Assert.InRange(grid.Period, Period - 5000, Period + 5000);
        grid.Armed(deadline += 25 * Period);
        Assert.NotEqual(0, grid.Period);

        // The same again is no news, and a moment of its own is no tick.
        grid.Armed(deadline);
        Assert.NotEqual(0, grid.Period);
        grid.Armed(deadline + (Period / 2));
        Assert.Equal(0, grid.Period);
    }

    [Fact]
    public void AGuestThatCountsInterruptsIsNotServedLateForLong()
    {
        var grid = new TickGrid();
        long deadline = 0;
        int late = 0;
        for (int i = 0; i < 1000; i++)
        {
            long served = deadline;
            if (grid.Period != 0)
            {
                served += (10 * Period) + (Period / 2);
                grid.Delay();
                late++;
            }

            deadline = served + Period;
            grid.Armed(deadline);
        }

        Assert.Equal(3, late);
    }

    [Fact]
    public void AGuestThatCatchesUpIsServedLateForGood()
    {
        var grid = new TickGrid();
        long deadline = 0;
        int late = 0;
        for (int i = 0; i < 1000; i++)
        {
            if (grid.Period != 0)
            {
                grid.Delay();
                late++;
                deadline += 10 * Period;
            }

            deadline += Period;
            grid.Armed(deadline);

            // A timer of another kind between, now and then.
            if (i % 100 == 99)
            {
                grid.Armed(deadline - (Period / 3));
            }
        }

        Assert.True(late > 500, $"late {late} times");
    }

    [Fact]
    public void LateIsAnEighthOfWhatWasQuietAndNoMoreThanIsAllowed()
    {
        using var guest = new PvGuest();
        IdleSlack slack = guest.Domain.IdleSlack;
        Tick(guest, guest.Domain.Clock.Now + (20_000 * Millisecond));
        Assert.Equal(0, slack.For(guest.Vcpu)); // no program has run yet

        slack.MarkBusy(guest.Vcpu, userCode: false);
        Assert.Equal(0, slack.For(guest.Vcpu));

        long before = guest.Domain.Clock.Now;
        slack.MarkBusy(guest.Vcpu, userCode: true);
        Assert.Equal(IdleSlack.Default - (IdleSlack.Default % Period) - (Period / 2), slack.For(guest.Vcpu), 2.0 * Period);

        Tick(guest, before + (120 * Millisecond));
        Assert.InRange(slack.For(guest.Vcpu), 0, 15 * Millisecond);
        Tick(guest, before + (16 * Millisecond));
        Assert.Equal(0, slack.For(guest.Vcpu));

        Tick(guest, before + (20_000 * Millisecond));
        guest.Domain.TickSlack = 50 * Millisecond;
        Assert.InRange(slack.For(guest.Vcpu), 44 * Millisecond, 50 * Millisecond);
        guest.Domain.TickSlack = 0;
        Assert.Equal(0, slack.For(guest.Vcpu));
    }

    [Fact]
    public void GuestsThatCatchUpAreServedAtCommonMoments()
    {
        const long quarter = 250 * Millisecond;
        var moments = new HashSet<long>();
        for (long deadline = 77_000 * Millisecond; deadline < 77_200 * Millisecond; deadline += 7 * Millisecond)
        {
            long late = IdleSlack.UntilCommonMoment(deadline, quarter);
            Assert.InRange(late, 0, quarter);
            moments.Add(deadline + late);

            // Guests that may be less late share moments too, and every one of the longer step is one of the shorter.
            long sooner = IdleSlack.UntilCommonMoment(deadline, 40 * Millisecond);
            Assert.InRange(sooner, 0, 40 * Millisecond);
            Assert.Equal(0, (deadline + sooner) % (quarter / 8));
        }

        Assert.Equal([77_250 * Millisecond], moments);

        using var guest = new PvGuest();
        IdleSlack slack = guest.Domain.IdleSlack;
        slack.MarkBusy(guest.Vcpu, userCode: true);
        Tick(guest, guest.Domain.Clock.Now + (20_000 * Millisecond));

        // Tried first, off its grid; it comes back to it.
        Assert.Equal(Period / 2, slack.For(guest.Vcpu) % Period, 1000.0);
        Assert.False(guest.Vcpu.Timers.Grid.Bears);
        guest.Vcpu.Timers.Grid.Delay();
        guest.Vcpu.Timers.SetSingleshot(guest.Vcpu.Timers.Singleshot + (50 * Period));
        Assert.True(guest.Vcpu.Timers.Grid.Bears);
        Assert.InRange(slack.For(guest.Vcpu), 0, quarter);
    }

    /// <summary>Sets the timer so often on one grid that it is taken for a tick; the last time to a deadline.</summary>
    private static void Tick(PvGuest guest, long deadline)
    {
        for (int i = TickGrid.Needed + 1; i >= 0; i--)
        {
            guest.Vcpu.Timers.SetSingleshot(deadline - (i * Period) + (i == TickGrid.Needed + 1 ? 1 : 0));
        }
    }
}
