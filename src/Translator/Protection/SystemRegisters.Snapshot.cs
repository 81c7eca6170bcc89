using Dbt.Translator.State;
using static Dbt.Translator.Protection.ControlBits;

namespace Dbt.Translator.Protection;

/// <content>Going on elsewhere.</content>
internal sealed unsafe partial class SystemRegisters
{
    /// <summary>Adds the registers of this class to a state.</summary>
    public NativeSystemState Capture(NativeSystemState state) => state with
    {
        Efer = Efer,
        SystemEnter = (EntryCs, EntryEsp, EntryEip),
        Pat = _pat,
        MtrrDefault = _defaultType,
        MtrrVariable = [.. _variableRanges],
        MtrrFixed = [.. _fixedRanges],
    };

    /// <summary>Takes them up, and checks CR0 and CR4 as moves to them do.</summary>
    /// <returns>False where the processor has no such state.</returns>
    public bool TryRestore(CpuState* cpu, NativeSystemState state)
    {
        uint cr0 = cpu->Cr0;
        bool contradiction = (cr0 & (Cr0Pg | Cr0Pe)) == Cr0Pg || (cr0 & (Cr0Nw | Cr0Cd)) == Cr0Nw;
        if (contradiction || (cr0 & ~Cr0Kept) != 0 || (cr0 & Cr0Et) == 0 || (cpu->Cr4 & ~system.Owner.Cr4Supported) != 0
            || (state.Efer & ~EferNxe) != 0 || !IsPat(state.Pat) || (state.MtrrDefault & ~0xCFFUL) != 0
            || state.MtrrVariable.Length != _variableRanges.Length || state.MtrrFixed.Length != _fixedRanges.Length)
        {
            return false;
        }

        cpu->RealMode = (cr0 & Cr0Pe) == 0 ? 1 : 0;
        Efer = state.Efer;
        (EntryCs, EntryEsp, EntryEip) = state.SystemEnter;
        _pat = state.Pat;
        _defaultType = state.MtrrDefault;
        state.MtrrVariable.CopyTo(_variableRanges, 0);
        state.MtrrFixed.CopyTo(_fixedRanges, 0);
        return true;
    }
}
