using System.Reflection;
using Dbt.Translator.Instructions;
using Dbt.Translator.Interpretation;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Tests.Translator.Oracle.Mutations;

/// <summary>
/// Puts a mutation's row in the place of the right one, until disposed. The table is the process's own: no other test may run meanwhile.
/// </summary>
internal sealed unsafe class MutatedTable : IDisposable
{
    private static readonly InstructionRow?[] ByMnemonic = Field<InstructionRow?[]>("ByMnemonic");
    private static readonly Dictionary<(Mnemonic, InstructionForm), InstructionRow> ByForm =
        Field<Dictionary<(Mnemonic, InstructionForm), InstructionRow>>("ByForm");

    private readonly InstructionRow _right;

    public MutatedTable(Mutation mutation)
    {
        _right = ByForm[(mutation.Mnemonic, mutation.Form)];
        Original = _right.Execute;
        Put(new InstructionRow(
            _right.Mnemonic, _right.Manual, _right.TestClass, mutation.Execute != null ? mutation.Execute : _right.Execute,
            mutation.Emit ?? _right.Emit, _right.UndefinedFlags, _right.Form, _right.Traits, mutation.Threaded));
    }

    /// <summary>The interpreter's right routine of the row that is replaced.</summary>
    public static delegate*<Interpreter, CpuState*, in DecodedInstruction, bool> Original { get; private set; }

    /// <inheritdoc/>
    public void Dispose() => Put(_right);

    private static void Put(InstructionRow row)
    {
        ByForm[(row.Mnemonic, row.Form)] = row;
        if (row.Form == InstructionForm.General)
        {
            ByMnemonic[(int)row.Mnemonic] = row;
        }
    }

    private static T Field<T>(string name) =>
        (T)typeof(InstructionTable).GetField(name, BindingFlags.Static | BindingFlags.NonPublic)!.GetValue(null)!;
}
