using Dbt.Perf;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Abi;
using Dbt.Xen.Events;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Xen.Grants;

/// <summary>
/// Locked instructions of two domains on two host threads, on the words of pages that one granted to the other, lose nothing; and neither do the runtime's
/// own bits in words that a guest changes at the same time. <c>DBT_ATOMIC_ROUNDS=1000000</c> for a longer run.
/// </summary>
public sealed unsafe class AtomicityTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(30);

    private static uint Rounds => uint.TryParse(Environment.GetEnvironmentVariable("DBT_ATOMIC_ROUNDS"), out uint rounds) ? rounds : 3000;

    public static TheoryData<EngineKind, EngineKind> Pairs => new()
    {
        { EngineKind.Interpreter, EngineKind.Interpreter },
        { EngineKind.Quick, EngineKind.Quick },
        { EngineKind.Optimized, EngineKind.Optimized },
        { EngineKind.Tiered, EngineKind.Tiered },
        { EngineKind.Interpreter, EngineKind.Optimized },
        { EngineKind.Quick, EngineKind.Interpreter },
        { EngineKind.Optimized, EngineKind.Quick },
    };

    public static TheoryData<EngineKind> Engines => [EngineKind.Interpreter, EngineKind.Quick, EngineKind.Optimized];

    [Theory]
    [MemberData(nameof(Pairs))]
    public void TwoDomainsLoseNothingOfEachOther(EngineKind first, EngineKind second)
    {
        uint rounds = Rounds;
        using var hypervisor = new Hypervisor(64 << 20);
        using var a = new SharedWordsGuest(Options(first), hypervisor, upper: false, rounds);
        using var b = new SharedWordsGuest(Options(second), hypervisor, upper: true, rounds);
        a.GrantTo(b.Domain);
        b.MapFrom(a);
        a.Vcpu.Start();
        b.Vcpu.Start();
        Assert.Equal((ShutdownReason.Poweroff, ShutdownReason.Poweroff), (End(a.Domain), End(b.Domain)));

        Assert.Equal((0u, 0u), (a.Errors, b.Errors));
        Assert.Equal((0u, 0u), a.BitWords);
        Assert.Equal(2 * rounds, a.GuardedCount);
        Assert.Equal(((byte)(2 * rounds), (ushort)(6 * rounds)), a.Small);
        foreach (uint counter in SharedWordsGuest.Counters)
        {
            Assert.True(a.Counter(counter) == 2 * rounds * SharedWordsGuest.CounterStep, $"the counter at {counter:x} is {a.Counter(counter)}");
        }

        foreach (uint counter in SharedWordsGuest.LongCounters)
        {
            Assert.True(a.Long(counter) == 2 * rounds * SharedWordsGuest.LongStep, $"the long counter at {counter:x} is {a.Long(counter)}");
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void EventsAndAGuestsBitsOfTheSameWordLoseNothing(EngineKind engine)
    {
        const uint Pending = SmallDomain.SharedInfo + SharedInfoLayout.EventPending;
        using var guest = new SmallDomain(Options(engine));
        Assert.True(guest.Domain.Events.TryAllocateForBackend(out uint port));
        Assert.True(guest.Domain.Events.TryConnectBackend(port, static () => { }, out BackendChannel channel));
        guest.Assemble(SmallDomain.Code, c => Toggle(c, Pending, bit: 20));
        guest.Vcpu.Start();
        uint bit = 1u << (int)port;
        for (uint i = 0; i < Rounds; i++)
        {
            channel.Notify();
            uint before = Interlocked.And(ref guest.Word(Pending), ~bit);
            Assert.True((before & bit) != 0, $"event {i} was lost");
        }

        EndToggling(guest);
        Assert.Equal(0u, guest.Word(Pending) & ~(1u << 20));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void GrantFlagsAndAGuestsBitsOfTheSameWordLoseNothing(EngineKind engine)
    {
        const uint Entry = 0x3C000 + (8 * 8), InUse = (1 << 3) | (1 << 4);
        using var guest = new SmallDomain(Options(engine));
        Assert.True(guest.Domain.Grants.TryGrantToBackend(8, guest.Frames[1]));

        // The guest sees its table at 3C000h.
        uint table = guest.Domain.Grants.TryGetFrame(0);
        Assert.Equal(0, guest.Domain.Memory.UpdateMapping(guest.Vcpu, 0x3C000, ((ulong)table << 12) | 7, guest.Domain.Id));
        guest.Frames[0x3C] = table;
        guest.Assemble(SmallDomain.Code, c => Toggle(c, Entry, bit: 6));
        guest.Vcpu.Start();
        int pinned = 0;
        for (uint i = 0; i < Rounds; i++)
        {
            // One that changes all the time may be given up (XSA-295); one that is taken says so until it is given back.
            if (guest.Domain.Grants.TryPinForBackend(8, writable: true, out _))
            {
                pinned++;
                Assert.Equal(InUse, Volatile.Read(ref guest.Word(Entry)) & InUse);
                guest.Domain.Grants.UnpinForBackend(8, writable: true);
                Assert.Equal(0u, Volatile.Read(ref guest.Word(Entry)) & InUse);
            }
        }

        EndToggling(guest);
        Assert.True(pinned > 0, "the grant was never taken");
        Assert.Equal(1u, guest.Word(Entry) & 3);
    }

    private static EngineOptions Options(EngineKind kind) => new() { Kind = kind, EarlyRegionThreshold = 100, RegionThreshold = 200 };

    // Turns a bit of a word until it is told to end, and counts answers that another must have caused.
    private static void Toggle(Assembler c, uint word, byte bit)
    {
        Label again = c.CreateLabel(), first = c.CreateLabel(), second = c.CreateLabel();
        c.Label(ref again);
        c.@lock.bts(__dword_ptr[word], bit);
        c.jnc(first);
        c.inc(__dword_ptr[SmallDomain.Data + 4]);
        c.Label(ref first);
        c.@lock.btr(__dword_ptr[word], bit);
        c.jc(second);
        c.inc(__dword_ptr[SmallDomain.Data + 4]);
        c.Label(ref second);
        c.inc(__dword_ptr[SmallDomain.Data + 8]);
        c.cmp(__dword_ptr[SmallDomain.Data], 0);
        c.je(again);
        SmallDomain.PowerOff(c);
    }

    private static ShutdownReason? End(Domain domain) => domain.Stopped.Wait(s_limit) ? domain.Stopped.Result : null;

    private static void EndToggling(SmallDomain guest)
    {
        Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref guest.Word(SmallDomain.Data + 8)) > 1000 || guest.Domain.IsStopped, s_limit), "the guest does nothing");
        guest.Word(SmallDomain.Data) = 1;
        Assert.Equal(ShutdownReason.Poweroff, End(guest.Domain));
        Assert.Equal(0u, guest.Word(SmallDomain.Data + 4));
    }
}
