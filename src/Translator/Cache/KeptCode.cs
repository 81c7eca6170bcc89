using Dbt.Translator.Emit;

namespace Dbt.Translator.Cache;

/// <summary>Compiled code without anything of this process: what a file holds of it.</summary>
/// <param name="Machine">The machine code.</param>
/// <param name="Sites">Its exits.</param>
/// <param name="Pages">Pages whose execute entries it compares.</param>
/// <param name="Links">Its link cells.</param>
/// <param name="Stubs">Host code that it calls, by the field that holds its address.</param>
/// <param name="IlBytes">Length of the IL that it was made from.</param>
internal sealed record KeptCode(MachineCode Machine, ExitSite[] Sites, uint[] Pages, (int Offset, uint Target)[] Links, (int Offset, byte[] Code)[] Stubs, int IlBytes)
{
    /// <summary>Takes it from code that runs in this process.</summary>
    public static KeptCode Of(CompiledCode code) => new(
        code.Machine!, code.Sites, [.. code.Instance.Pages], [.. code.Instance.Links],
        [.. code.Instance.Stubs.Select(stub => (stub.Offset, HostStubs.CodeOf(stub.Address)))], code.IlBytes);

    /// <summary>Makes code that runs in this process.</summary>
    /// <returns>Null where there is no room for it, or something that it calls is not to be had.</returns>
    public CompiledCode? Load()
    {
        var stubs = new List<(int Offset, nint Address)>();
        foreach ((int offset, byte[] code) in Stubs)
        {
            nint address = HostStubs.Place(code);
            if (address == 0)
            {
                return null;
            }

            stubs.Add((offset, address));
        }

        return CompiledCode.Load(Machine, Sites, new InstanceLayout(Pages, Links, stubs), IlBytes);
    }
}
