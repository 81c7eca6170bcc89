using System.Text;
using Dbt.Cli.Api;

namespace Dbt.Cli.Commands;

/// <summary>Lines of <c>xenstore-ls</c>, in the format of Xen's.</summary>
/// <param name="root">The node whose children are shown without indentation: an absolute path.</param>
/// <param name="full">Whole paths, and whole values (-f).</param>
/// <param name="permissions">With permissions (-p).</param>
/// <param name="width">Longest line that a value may make.</param>
internal sealed class StoreListing(string root, bool full, bool permissions, int width)
{
    /// <summary>What the width is where output is no terminal.</summary>
    public const int DefaultWidth = 80;

    /// <summary>What of a terminal's width is not used.</summary>
    public const int Margin = 2;

    // Where permissions stand, and what a value that is cut takes beside its text: ' = "..."'.
    private const int PermissionColumn = 60, Tag = 8;

    private readonly int _width = full ? int.MaxValue / 2 : width;
    private readonly int _rootDepth = root.Length == 1 ? 0 : root.Count(static c => c == '/');

    /// <summary>The line of a node below the root.</summary>
    public string Line(StoreNode node)
    {
        var line = new StringBuilder();
        string value = StoreText.Escape(node.Value.Span);
        int used = 0;
        if (full)
        {
            line.Append(node.Path);
        }
        else
        {
            string name = node.Path[(node.Path.LastIndexOf('/') + 1)..];
            line.Append(' ', node.Path.Count(static c => c == '/') - _rootDepth - 1);
            line.Append(name.AsSpan(0, Math.Clamp(_width - Tag - line.Length, 0, name.Length)));
            used = line.Length;
        }

        if (_width < used + node.Value.Length + Tag)
        {
            line.Append(" = \"").Append(value.AsSpan(0, Math.Clamp(_width - Tag - used, 0, value.Length))).Append("\\...\"");
        }
        else
        {
            line.Append(" = \"").Append(value).Append('"');
            used += value.Length + 5;
            if (permissions)
            {
                line.Append(' ');
                for (used++; used < Math.Min(full ? 0 : PermissionColumn, _width); used++)
                {
                    line.Append((used & 1) != 0 ? '.' : ' ');
                }
            }
        }

        return permissions ? line.Append("  (").AppendJoin(',', node.Permissions).Append(')').ToString() : line.ToString();
    }
}
