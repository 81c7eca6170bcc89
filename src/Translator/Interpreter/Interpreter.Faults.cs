using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation;

internal sealed unsafe partial class Interpreter
{
    /// <summary>Sets the fault; always false, for a routine to return.</summary>
    public static bool Raise(CpuState* cpu, Vector vector, uint error = 0)
    {
        cpu->Fault = new Fault { Vector = vector, ErrorCode = error };
        return false;
    }

    /// <summary>#GP(error).</summary>
    public static bool GeneralProtection(CpuState* cpu, uint error = 0) => Raise(cpu, Vector.GeneralProtection, error);

    /// <summary>#UD.</summary>
    public static bool Undefined(CpuState* cpu) => Raise(cpu, Vector.InvalidOpcode);

    /// <summary>#SS(0) for the stack segment, #GP(0) for the others: an access outside a segment (SDM vol. 3, 6.15).</summary>
    public static bool SegmentViolation(CpuState* cpu, SegmentIndex segment) =>
        Raise(cpu, segment == SegmentIndex.Ss ? Vector.StackFault : Vector.GeneralProtection);
}
