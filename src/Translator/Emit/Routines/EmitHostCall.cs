using System.Reflection.Emit;
using Dbt.Translator.State;
using Label = System.Reflection.Emit.Label;

namespace Dbt.Translator.Emit.Routines;

/// <summary>Calls of C# that runtime's own code may run behind: see <see cref="HelperEntries"/>.</summary>
internal static class EmitHostCall
{
    /// <summary>
    /// What is called is C#, behind whose return the runtime may put code of its own: units that an earlier region made live are
    /// taken back first. A region that needs them itself leaves the instruction to the interpreter, for RyuJIT would move
    /// floating-point operations past the change.
    /// </summary>
    /// <returns>False where it does.</returns>
    public static bool TryBegin(InstructionEmitter e)
    {
        if (e.NeededUnits != LiveUnit.None || e.Region.MixesX87AndMmx)
        {
            return false;
        }

        ILGenerator il = e.Il;
        Label live = il.DefineLabel(), call = il.DefineLabel();
        e.LoadState(StateLayout.LiveUnits, OpCodes.Ldind_I4);
        il.Emit(OpCodes.Brtrue, live);
        il.MarkLabel(call);
        e.Defer(() =>
        {
            il.MarkLabel(live);
            il.Emit(OpCodes.Ldarg_0);
            e.CallHost(StateLayout.HarvestCode, typeof(void), typeof(nint));
            il.Emit(OpCodes.Br, call);
        });
        return true;
    }
}
