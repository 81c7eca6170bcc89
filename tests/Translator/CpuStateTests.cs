using Dbt.Translator.State;

namespace Dbt.Tests.Translator;

/// <summary>What host code expects of the state's layout.</summary>
public sealed unsafe class CpuStateTests
{
    /// <summary>FXSAVE's area is aligned, as the host's own instructions need it.</summary>
    [Fact]
    public void FxAreasAreAligned()
    {
        CpuState* cpu = CpuState.Allocate();
        Assert.Equal(0, (nint)(&cpu->Fx) & 15);
        Assert.Equal(0, (nint)(&cpu->FxLive) & 15);
        CpuState.Free(cpu);
    }
}
