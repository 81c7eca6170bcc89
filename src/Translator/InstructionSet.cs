using Dbt.Translator.Instructions;
using Iced.Intel;

namespace Dbt.Translator;

/// <summary>What the processor executes: who describes it to a guest (CPUID) asks here.</summary>
public static class InstructionSet
{
    /// <summary>Whether an instruction is carried out, on any host; false where it raises #UD.</summary>
    /// <param name="mnemonic">The instruction; of several that share a mnemonic, the ordinary one.</param>
    public static bool Implements(Mnemonic mnemonic) => InstructionTable.Lookup(mnemonic) is { TestClass: not TestClass.NotTested };
}
