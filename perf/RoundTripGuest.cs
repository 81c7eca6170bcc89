using Dbt.Translator;
using Dbt.Xen.Abi;
using Dbt.Xen.Events;
using Dbt.Xen.Hypercalls;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Perf;

/// <summary>
/// A guest that does so many hypercalls, or sends so many events that come back, as it is told. It asks for its next task by an event whose
/// backend holds its processor's thread until there is one, so that between two tasks it costs nothing.
/// </summary>
internal sealed unsafe class RoundTripGuest : SmallDomain
{
    private const int XenVersion = 17, Iret = 23, EventChannelOp = 32;
    private const uint Send = 4, EchoArguments = Arguments + 16, Count = Data, ByEvents = Data + 4, Upcalls = Data + 8;
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private readonly SemaphoreSlim _told = new(0), _done = new(0);
    private readonly BackendChannel _echo = null!;
    private bool _armed;

    /// <param name="options">How its code is executed.</param>
    public RoundTripGuest(EngineOptions options)
        : base(options)
    {
        Word(Arguments) = Connect(Next, out _);
        Word(EchoArguments) = Connect(() => _echo?.Notify(), out _echo);
        _ = HypercallDispatch.Call(Vcpu, 4, new HypercallArguments(Layout.FlatRing1Cs, Handlers, Layout.FlatRing1Cs, Handlers, 0, 0)); // set_callbacks
        Assemble(Code, Program);
        Assemble(Handlers, TakeEvent);
        _armed = true;
        Vcpu.Start();
        Wait();
    }

    /// <summary>Bytes that the processor's thread had taken from the heap when it asked for the present task.</summary>
    public long AllocatedBytes { get; private set; }

    /// <summary>Events that came back so far.</summary>
    public uint EventsTaken => Word(Upcalls);

    /// <summary>Lets it do so many hypercalls, the cheapest there is, and waits until it has.</summary>
    public void Hypercalls(uint count) => Do(count, byEvents: 0);

    /// <summary>Lets it send so many events, each of which a backend answers by one to it, and waits until it has.</summary>
    public void Events(uint count) => Do(count, byEvents: 1);

    /// <inheritdoc/>
    public override void Dispose()
    {
        if (!Domain.IsStopped)
        {
            Word(Count) = 0;
            _told.Release();
        }

        Vcpu.Stop();
        base.Dispose();
        _told.Dispose();
        _done.Dispose();
    }

    private void Do(uint count, uint byEvents)
    {
        (Word(Count), Word(ByEvents)) = (count, byEvents);
        _told.Release();
        Wait();
    }

    private void Wait()
    {
        if (!_done.Wait(s_limit))
        {
            throw new InvalidOperationException($"The guest does not come back. {Domain.CrashReport?.Text}");
        }
    }

    // On the processor's thread.
    private void Next()
    {
        if (_armed)
        {
            AllocatedBytes = GC.GetAllocatedBytesForCurrentThread();
            _done.Release();
            _told.Wait();
        }
    }

    private uint Connect(Action onSignal, out BackendChannel channel) =>
        Domain.Events.TryAllocateForBackend(out uint port) & Domain.Events.TryConnectBackend(port, onSignal, out channel)
            ? port
            : throw new InvalidOperationException("The domain has no port left.");

    private static void Program(Assembler c)
    {
        Label next = c.CreateLabel(), hypercall = c.CreateLabel(), events = c.CreateLabel(), send = c.CreateLabel(), end = c.CreateLabel();
        c.mov(__byte_ptr[SharedInfo + SharedInfoLayout.UpcallMask], 0);
        c.Label(ref next);
        Hypercall(c, EventChannelOp, Send, Arguments);
        c.mov(edi, __dword_ptr[Count]);
        c.test(edi, edi);
        c.je(end);
        c.cmp(__dword_ptr[ByEvents], 0);
        c.jne(events);
        c.Label(ref hypercall);
        c.xor(ebx, ebx);
        c.mov(eax, XenVersion);
        c.@int(0x82);
        c.dec(edi);
        c.jne(hypercall);
        c.jmp(next);
        c.Label(ref events);
        c.mov(ebx, Send);
        c.mov(ecx, EchoArguments);
        c.Label(ref send);
        c.mov(eax, EventChannelOp);
        c.@int(0x82);
        c.dec(edi);
        c.jne(send);
        c.jmp(next);
        c.Label(ref end);
        PowerOff(c);
    }

    private static void TakeEvent(Assembler c)
    {
        c.mov(__byte_ptr[SharedInfo + SharedInfoLayout.UpcallPending], 0);
        c.mov(__dword_ptr[SharedInfo + SharedInfoLayout.PendingSelector], 0);
        c.mov(__dword_ptr[SharedInfo + SharedInfoLayout.EventPending], 0);
        c.inc(__dword_ptr[Upcalls]);
        c.push(eax);
        c.mov(eax, Iret);
        c.@int(0x82);
    }
}
