namespace Dbt.Translator.Diagnostics;

/// <summary>What a virtual processor's thread does: <see cref="State.CpuState.Doing"/>.</summary>
public enum ProcessorActivity
{
    /// <summary>Finds what to run next, or anything that has no name of its own here.</summary>
    Dispatching,

    /// <summary>Runs guest code in the interpreter.</summary>
    Interpreting,

    /// <summary>Runs guest code in a translation, quick or optimised.</summary>
    Translated,

    /// <summary>Runs guest code in a quick translation. Told by a sampler; a processor says <see cref="Translated"/>.</summary>
    Quick,

    /// <summary>Runs guest code in an optimised region. Told by a sampler.</summary>
    Optimised,

    /// <summary>Decodes a block for the interpreter.</summary>
    Decoding,

    /// <summary>Finds the code of a translation, or compiles it where that isn't done in the background.</summary>
    Compiling,

    /// <summary>Walks page tables to fill the software TLB.</summary>
    PageTables,

    /// <summary>Delivers a fault to the guest, or emulates the instruction that raised it.</summary>
    Delivering,

    /// <summary>Carries out a hypercall.</summary>
    Hypercall,

    /// <summary>Waits for an event.</summary>
    Idle,

    /// <summary>Is down or held.</summary>
    Offline,
}
