using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation;

/// <summary>
/// Carries out one instruction at a time outside an engine, for a platform that emulates what an instruction does with memory: it
/// answers <see cref="Platform.TryResolve"/> while this runs. One per processor, on its own thread.
/// </summary>
public sealed unsafe class SingleInstruction : IDisposable
{
    private readonly Interpreter _interpreter;

    /// <summary>Makes one for the processor of a platform.</summary>
    public SingleInstruction(Platform platform) => _interpreter = new Interpreter(platform);

    /// <summary>Executes the instruction at EIP, of a repeated string instruction one iteration. No fault is delivered, no trap taken.</summary>
    /// <returns>
    /// True where it was carried out and EIP names what comes next; false where <see cref="CpuState.Fault"/> says why not, with nothing
    /// else changed, or where the platform took over.
    /// </returns>
    public bool TryExecute(CpuState* cpu)
    {
        // REP does one iteration under TF; the bit is the guest's again before it is seen.
        uint trap = cpu->Eflags & Flags.Tf;
        cpu->Eflags |= Flags.Tf;
        Outcome outcome = _interpreter.ExecuteOne(cpu);
        _interpreter.Transferred = false;
        cpu->Eflags = (cpu->Eflags & ~Flags.Tf) | trap;
        return outcome == Outcome.Completed;
    }

    /// <inheritdoc/>
    public void Dispose() => _interpreter.Dispose();
}
