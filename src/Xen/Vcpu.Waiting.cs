using Dbt.Translator.Diagnostics;
using Dbt.Xen.Events;
using Dbt.Xen.Time;

namespace Dbt.Xen;

/// <summary>How the processor waits for an event, and which of its ticks may come late meanwhile.</summary>
public sealed unsafe partial class Vcpu
{
    private void WaitBlocked()
    {
        PollRequest? poll = _poll;
        _waitingInPoll = poll is not null;
        Interlocked.MemoryBarrier();
        if (!IsWakeDue(poll))
        {
            Timers.NotRunning();
            EnterRunState(RunStateKind.Blocked);
            int doing = State->Doing;
            State->Doing = (int)ProcessorActivity.Compiling;
            _engine?.UsePause();
            State->Doing = (int)ProcessorActivity.Idle;
            Leave();
            KeepTimers();
            NoteUserCode();
            while (!IsWakeDue(poll))
            {
                long left = TakeDueTimers(poll is null ? LateSleep() : 0);
                if (IsWakeDue(poll))
                {
                    EndOwnLateSleep();
                    break;
                }

                left = poll?.Remaining(Domain.Clock) is long time and >= 0 ? Math.Min(left, time) : left;
                _wake.Wait(left == long.MaxValue ? -1 : Math.Max(left, 0));
                HoldStill();
                if (IsWakeDue(poll))
                {
                    Domain.IdleSlack.MarkBusy(this, userCode: false);
                }
            }

            if (_sleepsLate)
            {
                // Woken by something else: the ticks that were put off come with it.
                _sleepsLate = false;
                TakeDueTimers(0);
            }

            GiveBackTimers();
            State->Doing = doing;
            Return();
            Timers.Running();
            EnterRunState(RunStateKind.Running);
        }

        _waitingInPoll = false;
        _poll = null;
        _blockRequested = false;
    }

    /// <summary>Others are busy: a tick that is put off is due now. Any thread.</summary>
    internal void EndLateSleep()
    {
        if (_sleepsLate)
        {
            _wake.Set();
        }
    }

    private void NoteUserCode()
    {
        if (State->RanUserCode != 0)
        {
            State->RanUserCode = 0;
            Domain.IdleSlack.MarkBusy(this, userCode: true);
        }
    }

    private void EndOwnLateSleep()
    {
        if (_sleepsLate)
        {
            _sleepsLate = false;
            Timers.Grid.Delay();
        }
    }

    /// <summary>By how much the tick of a processor that waits may be late.</summary>
    private long LateSleep()
    {
        // First, so that a processor that becomes busy from now on sees it.
        _sleepsLate = true;
        Interlocked.MemoryBarrier();
        long slack = Domain.IdleSlack.For(this);
        _sleepsLate = slack != 0;
        return slack;
    }

    // A processor that waits looks at its own timers: one thread wakes for a tick, and not two.
    private void KeepTimers()
    {
        Timers.SingleshotTimer.Keep(_wake);
        Hvm?.Timer.Keep(_wake);
    }

    private void GiveBackTimers()
    {
        Timers.SingleshotTimer.GiveBack();
        Hvm?.Timer.GiveBack();
    }

    private long TakeDueTimers(long slack) =>
        Math.Min(Timers.SingleshotTimer.TakeDue(slack), Hvm?.Timer.TakeDue(0) ?? long.MaxValue);

    private bool IsWakeDue(PollRequest? poll) =>
        Domain.IsStopped || (Hvm?.IsWakeDue ?? (UpcallIsDue || (IsNmiDue && !Callbacks.InNmi))) || (poll is not null && poll.IsDone(Domain));
}
