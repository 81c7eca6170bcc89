using Dbt.Perf;
using Dbt.Tests.Translator.SteadyState;
using Dbt.Translator;

namespace Dbt.Tests.Xen.Hypercalls;

/// <summary>The way from a guest into the hypervisor and back takes nothing from the garbage collector's heap.</summary>
public sealed class RoundTripTests
{
    private const uint Times = 20_000;

    public static TheoryData<EngineKind> Engines => [EngineKind.Interpreter, EngineKind.Quick, EngineKind.Optimized];

    [Theory]
    [MemberData(nameof(Engines))]
    public void AHypercallAllocatesNothing(EngineKind engine)
    {
        using var guest = new RoundTripGuest(new EngineOptions { Kind = engine });
        guest.Hypercalls(Times);
        Assert.Equal(0, Allocated.Undisturbed(() =>
        {
            long before = guest.AllocatedBytes;
            guest.Hypercalls(Times);
            return guest.AllocatedBytes - before;
        }));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void AnEventThereAndBackAllocatesNothing(EngineKind engine)
    {
        using var guest = new RoundTripGuest(new EngineOptions { Kind = engine });
        guest.Events(Times);
        Assert.Equal(0, Allocated.Undisturbed(() =>
        {
            long before = guest.AllocatedBytes;
            uint taken = guest.EventsTaken;
            guest.Events(Times);
            Assert.Equal(Times, guest.EventsTaken - taken);
            return guest.AllocatedBytes - before;
        }));
    }
}
