using Dbt.Runtime.HostTime;
using Dbt.Translator;
using Dbt.Translator.Diagnostics;
using Dbt.Translator.State;
using Dbt.Xen.Abi;
using Dbt.Xen.Diagnostics;
using Dbt.Xen.Events;
using Dbt.Xen.Processor;
using Dbt.Xen.Time;

namespace Dbt.Xen;

/// <summary>The processor's host thread: running, blocking, being held.</summary>
public sealed unsafe partial class Vcpu
{
    // A guest that unmasks upcalls without looking for what it missed gets it at the next exit; real processors have one at every
    // host tick, so this one has them too while something is undelivered.
    private const long RecheckAfter = 4_000_000;

    private readonly Lock _kickLock = new();
    private readonly HostEvent _wake = new();
    private readonly HostTimer _recheck;
    private readonly Lock _holdLock = new();
    private readonly ManualResetEventSlim _parked = new();
    private Thread? _thread;
    private Engine? _engine;
    private PollRequest? _poll;
    private bool _blockRequested;
    private volatile bool _waitingInPoll;
    private volatile bool _sleepsLate;
    private volatile bool _down = true;
    private volatile bool _entered;
    private int _holds;
    private HostThreadClock? _hostClock;
    private long _hostTicks;
    private int _nmi;

    /// <summary>Counters of its engine; null before it first ran.</summary>
    public EngineStatistics? EngineStatistics => _engine?.Statistics;

    /// <summary>Lists a translation: see <see cref="Engine.List"/>. The processor must be held (<see cref="Pause"/>).</summary>
    public BlockListing? List(uint eip) => State == null ? null : _engine?.List(eip);

    /// <summary>Time in which it executed guest code, by the domain's clock.</summary>
    public long RunNanoseconds => RunState.RunNanoseconds;

    /// <summary>The host's processor time that its thread has taken; compilation in the background left out. Any thread.</summary>
    public TimeSpan HostCpuTime
    {
        get
        {
            // What an ended thread took is what it had noted last.
            TimeSpan now = Volatile.Read(ref _hostClock)?.Time ?? TimeSpan.FromTicks(Volatile.Read(ref _hostTicks));
            Volatile.Write(ref _hostTicks, now.Ticks);
            return now;
        }
    }

    /// <summary>Whether it waits in SCHEDOP_poll.</summary>
    internal bool Polls => _waitingInPoll;

    /// <summary>Whether the poll that it waits in ends by itself.</summary>
    internal bool PollEnds => _poll is { Deadline: not 0 };

    /// <summary>Whether it is up (VCPUOP_is_up).</summary>
    public bool IsUp => !_down;

    /// <summary>Brings it up: its thread starts, or goes on. Its state must have been set.</summary>
    public void Start()
    {
        _down = false;
        if (_thread is null)
        {
            Prepare();
        }
        else
        {
            Kick();
        }
    }

    /// <summary>Starts its thread, which makes the engine, and waits: what takes long of <see cref="Start"/> is done then. It needs no state yet.</summary>
    internal void Prepare()
    {
        _thread = new Thread(Main) { IsBackground = true, Name = $"{Domain.ProcessorsName}/vcpu{Id}" };
        _thread.Start();
    }

    /// <summary>Brings it down at its next exit; <see cref="Start"/> lets it go on (VCPUOP_down).</summary>
    public void GoDown()
    {
        _down = true;
        Kick();
    }

    /// <summary>Makes a running or blocked processor look at what has changed (events, stop, pause). Any thread.</summary>
    public void Kick()
    {
        lock (_kickLock)
        {
            if (State != null)
            {
                State->Attention = 1;
                _wake.Set();
            }
        }
    }

    /// <summary>Holds the processor outside guest code; returns when it is there. Holds count. Not on its own thread.</summary>
    public void Pause()
    {
        lock (_holdLock)
        {
            _holds++;
        }

        if (_thread is null)
        {
            return;
        }

        Kick();
        while (_thread.IsAlive && !_parked.Wait(10))
        {
            Kick();
        }
    }

    /// <summary>As <see cref="Pause"/>, but returns at once. Any thread.</summary>
    internal void HoldSoon()
    {
        lock (_holdLock)
        {
            _holds++;
        }

        Kick();
    }

    /// <summary>Ends one hold.</summary>
    public void Resume()
    {
        lock (_holdLock)
        {
            _holds--;
        }

        Kick();
    }

    /// <summary>Waits until its thread has ended, which it does when the domain stops.</summary>
    public void Stop()
    {
        Thread? thread = _thread;
        if (thread is null || thread == Thread.CurrentThread)
        {
            return;
        }

        while (!thread.Join(20))
        {
            Kick();
        }
    }

    /// <inheritdoc/>
    public override bool Attend(CpuState* cpu)
    {
        cpu->Attention = 0;
        PassSafePoint();
        Hold();
        if (Domain.IsStopped)
        {
            return false;
        }

        if (cpu->InterruptShadow != 0)
        {
            cpu->Attention = 1;
            return true;
        }

        ReturnToGuest();
        return !Domain.IsStopped;
    }

    /// <summary>Asks to block at the return to the guest, with upcalls enabled (SCHEDOP_block).</summary>
    internal void RequestBlock()
    {
        byte* info = Info;
        if (info != Domain.DummyVcpuInfo)
        {
            Volatile.Write(ref info[SharedInfoLayout.UpcallMask], 0);
        }

        _blockRequested = true;
    }

    /// <summary>Asks to wait for one of some ports at the return to the guest (SCHEDOP_poll).</summary>
    internal void RequestPoll(PollRequest poll) => _poll = poll;

    /// <summary>An event was set: a processor that polls looks again.</summary>
    internal void WakeFromPoll()
    {
        if (_waitingInPoll)
        {
            _wake.Set();
        }
    }

    /// <summary>Waits a moment, or until an event comes; for guests that spin on yield.</summary>
    internal void Rest(long nanoseconds) => _wake.Wait(nanoseconds);

    /// <summary>Sends it an NMI (VCPUOP_send_nmi).</summary>
    internal void SendNmi()
    {
        if (Interlocked.Exchange(ref _nmi, 1) == 0)
        {
            Kick();
        }
    }

    /// <summary>
    /// Everything that stands between an exit and the guest's next instruction: waits that were asked for, then NMI and upcalls.
    /// </summary>
    internal void ReturnToGuest()
    {
        if (Domain.IsStopped)
        {
            State->Attention = 1;
            return;
        }

        if (_blockRequested || _poll is not null)
        {
            WaitBlocked();
        }

        if (IsNmiDue && !Callbacks.InNmi)
        {
            // As in Xen an NMI that nobody handles is lost.
            _nmi = 0;
            if (Traps[(int)Vector.Nmi].IsSet)
            {
                Callbacks.InNmi = true;
                Upcall.DeliverNmi(this);
            }
        }

        byte* info = Info;
        if (info[SharedInfoLayout.UpcallPending] == 0)
        {
            return;
        }

        if (info[SharedInfoLayout.UpcallMask] == 0)
        {
            Upcall.Deliver(this);
        }
        else
        {
            _recheck.Set(HostClock.Now + RecheckAfter);
        }
    }

    /// <summary>Whether an NMI waits for an auto-translated domain's processor.</summary>
    internal bool IsNmiDue => _nmi != 0;

    /// <summary>Takes the NMI that waits, if any.</summary>
    internal bool TakeNmi() => Interlocked.Exchange(ref _nmi, 0) != 0;

    /// <summary>Whether a hypercall asked to wait, for which <see cref="AttendNative"/> is the place.</summary>
    internal bool IsWaitRequested => _blockRequested || _poll is not null;

    /// <summary>It is to wait in <see cref="Hold"/>. On its own thread.</summary>
    internal void MarkDown() => _down = true;

    /// <summary>It is to run after all. On its own thread.</summary>
    internal void MarkUp() => _down = false;

    /// <summary>What stands between an exit and the next instruction of an auto-translated domain's processor, but for interrupts.</summary>
    /// <returns>False where it is to stop.</returns>
    internal bool AttendNative()
    {
        PassSafePoint();
        Hvm!.ApplyFlush();
        do
        {
            Hold();
        }
        while (!Domain.IsStopped && Hvm.TakeStart());

        if (IsWaitRequested || Hvm.IsHalted)
        {
            WaitBlocked();
            Hvm.Wake();
        }

        return !Domain.IsStopped;
    }

    private bool UpcallIsDue
    {
        get
        {
            byte* info = Info;
            return Volatile.Read(ref info[SharedInfoLayout.UpcallPending]) != 0 && Volatile.Read(ref info[SharedInfoLayout.UpcallMask]) == 0;
        }
    }

    /// <summary>Makes a running processor come by its safe point, without waking one that waits. Any thread.</summary>
    internal void Interrupt()
    {
        lock (_kickLock)
        {
            if (State != null)
            {
                State->Attention = 1;
            }
        }
    }

    /// <summary>Waits while the processor is down or held, or has had its share.</summary>
    private void Hold()
    {
        do
        {
            HoldStill();
        }
        while (RestForOthers());
    }

    /// <summary>Waits while the processor is down or held.</summary>
    private void HoldStill()
    {
        if (TryPark())
        {
            StayOutside(RunStateKind.Offline, ProcessorActivity.Offline, TryPark);
        }
    }

    /// <summary>Waits outside of guest code.</summary>
    /// <param name="state">What it does meanwhile.</param>
    /// <param name="doing">The same for profiles.</param>
    /// <param name="stays">Whether it is to wait on; asked after each event.</param>
    private void StayOutside(RunStateKind state, ProcessorActivity doing, Func<bool> stays)
    {
        Timers.NotRunning();
        EnterRunState(state);
        bool wasOutside = IsOutside;
        int before = State->Doing;
        State->Doing = (int)doing;
        Leave();
        do
        {
            _wake.Wait(-1);
        }
        while (stays());
        State->Doing = before;
        if (!wasOutside)
        {
            Return();
        }

        if (!Domain.IsStopped)
        {
            Timers.Running();
            EnterRunState(RunStateKind.Running);
            SharedTime.Update(this);
        }
    }

    /// <summary>Parks the processor where it is to be held; otherwise it is not parked. One decision with <see cref="Pause"/>'s.</summary>
    private bool TryPark()
    {
        lock (_holdLock)
        {
            if (IsToBeHeld)
            {
                _parked.Set();
                return true;
            }

            _parked.Reset();
            return false;
        }
    }

    private bool IsToBeHeld => (_down || _holds != 0) && !Domain.IsStopped;

    /// <summary>Waits until it is up and nobody holds it, and makes code ready meanwhile.</summary>
    /// <returns>False where it is to stop.</returns>
    private bool AwaitStart(Engine engine)
    {
        while (TryPark())
        {
            _wake.Wait(-1);
            WarmUp(engine);
        }

        return !Domain.IsStopped;
    }

    private void Main()
    {
        Bind();
        Volatile.Write(ref _hostClock, HostThreadClock.Current);
        try
        {
            using Engine engine = EngineFactory.Create(Domain.EngineOptions, (Platform?)Hvm ?? this, State);
            _engine = engine;
            using ProcessorProbe probe = VcpuProbe.Attach(this, engine);
            if (!AwaitStart(engine))
            {
                return;
            }

            Timers.Running();
            EnterRunState(RunStateKind.Running);
            SharedTime.Update(this);
            State->Attention = 1;
            Return();
            _entered = true;
            _firstEntry?.Enter(this);
            engine.Run(State);
        }
        catch (OutOfMemoryException e)
        {
            Domain.Crash(this, e.Message);
        }
        catch (Exception e)
        {
            // Nothing a guest does may throw: this is our own bug, and going on could hide it or harm another domain. Nobody handles it, so
            // that the runtime tells those who have to know (the terminal's mode is to be restored), and ends the process with a dump.
            string where = $"{Domain.Name}, VCPU {Id}, EIP {State->Eip:x8}, last hypercall {Hypercalls.Last ?? "none"}";
            throw new InvalidOperationException($"Internal error in the hypervisor ({where}): {e.Message}", e);
        }
        finally
        {
            _ = HostCpuTime;
            Volatile.Write(ref _hostClock, null);
            WarmUp(null);
            Leave();
            Timers.NotRunning();
            Domain.Share.Changed();
            _parked.Set();
        }
    }
}
