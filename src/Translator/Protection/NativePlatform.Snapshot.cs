namespace Dbt.Translator.Protection;

/// <content>Going on elsewhere: what is saved of a processor, and taken up again.</content>
public abstract unsafe partial class NativePlatform
{
    /// <summary>What <see cref="Cpu"/> does not hold. The processor is between two instructions.</summary>
    public NativeSystemState CaptureSystemState() => _system.Registers.Capture(new NativeSystemState
    {
        MtrrVariable = [],
        MtrrFixed = [],
        DirectoryPointers = _system.Paging.CaptureDirectoryPointers(),
        NmiBlocked = _system.Interrupts.NmiBlocked,
    });

    /// <summary>
    /// Takes a state up, and checks what <see cref="Cpu"/> has been given of control registers: all that the processor's own instructions would
    /// have refused is refused.
    /// </summary>
    /// <returns>False where it is refused.</returns>
    public bool TryRestoreSystemState(NativeSystemState state)
    {
        if (!_system.Registers.TryRestore(Cpu, state) || !_system.Paging.TryRestoreDirectoryPointers(state.DirectoryPointers))
        {
            return false;
        }

        _system.Interrupts.NmiBlocked = state.NmiBlocked;
        FlushAll();
        Cpu->RefreshMode();
        return true;
    }
}
