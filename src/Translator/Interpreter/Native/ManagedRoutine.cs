namespace Dbt.Translator.Interpretation.Native;

/// <summary>
/// One floating-point or SIMD instruction in managed code, for hosts that cannot execute it. What it does to its three arguments is what
/// the host code of a <see cref="NativeThunk"/> does; faults, memory and the last instruction's pointers are the caller's.
/// Immutable: all processors share it.
/// </summary>
internal abstract unsafe class ManagedRoutine
{
    /// <summary>Executes the instruction.</summary>
    /// <param name="area">The FX area (<see cref="FxState"/>).</param>
    /// <param name="memory">The memory operand's bytes, read or to be written.</param>
    /// <param name="registers">General registers, flags, MXCSR, the XMM register written.</param>
    public abstract void Run(byte* area, byte* memory, NativeRegisters* registers);
}
