using Dbt.Translator.State;

namespace Dbt.Translator.Memory;

/// <summary>Which programs have an <see cref="AddressWindow"/>: those for which it pays to map their pages. On the processor's thread.</summary>
internal unsafe interface IWindowSpaces
{
    /// <summary>Whether the program in the address space in force has run for so long that it should get one: <see cref="WindowUse.WhenSettled"/>.</summary>
    bool IsSettled(CpuState* cpu);

    /// <summary>The address space in force is about to get one.</summary>
    void MakeRoom(CpuState* cpu);

    /// <summary>Takes away the window of a space that isn't in force: of its pages, others can be had for the one that is.</summary>
    /// <returns>False where none has any.</returns>
    bool TryFreePages();

    /// <summary>Whether what the host has spent on the window in use is in proportion to what its program has run.</summary>
    bool Pays(CpuState* cpu, AddressWindow window);

    /// <summary>The window in use is emptied: the program has to run for longer before it gets one again.</summary>
    void Unsettle(CpuState* cpu, AddressWindow window);

    /// <summary>Fills read and write entries of the pages around one, for as many as a window maps together, as far as that has no other effect.</summary>
    void LookAround(CpuState* cpu, uint page);
}
